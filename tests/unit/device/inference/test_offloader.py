import numpy as np
import pytest

from nestling.inference.v2 import inference_pb2
from nestling_device.inference.offloader import (
    BadAnswerError,
    OffloadRequest,
    infer_request,
    read_logits,
)


def response(
    values: list[float],
    *,
    shape: tuple[int, ...] = (1, 3),
    datatype: str = "FP32",
    name: str = "logits",
    raw: bool = True,
) -> inference_pb2.ModelInferResponse:
    made = inference_pb2.ModelInferResponse()
    output = made.outputs.add(name=name, datatype=datatype, shape=shape)
    if raw:
        made.raw_output_contents.append(np.array(values, "<f4").tobytes())
    else:
        output.contents.fp32_contents.extend(values)
    return made


def test_request_carries_one_input_as_raw_float32_and_says_who_asks() -> None:
    window = np.arange(6, dtype=np.float32).reshape(2, 3)

    question = OffloadRequest(window=window.T, index=7, device_answer=0)

    request = infer_request(question, model="teacher", device_id="pi-1")

    (tensor,) = request.inputs
    assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("input", "FP32", [1, 3, 2])
    assert [window.T.tobytes()] == list(request.raw_input_contents)
    assert request.parameters["device_id"].string_param == "pi-1"
    assert request.parameters["input_index"].int64_param == 7
    assert request.parameters["device_answer"].int64_param == 0


def test_request_without_a_students_answer_names_none() -> None:
    question = OffloadRequest(window=np.zeros((2, 3), np.float32), index=7, device_answer=None)

    assert "device_answer" not in infer_request(question, model="m", device_id="d").parameters


@pytest.mark.parametrize("raw", [True, False])
def test_logits_are_read_raw_and_typed(raw: bool) -> None:
    logits = read_logits(response([1, 2, 3], raw=raw), 3)

    assert logits.dtype == np.float32
    assert logits.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (inference_pb2.ModelInferResponse(), r"answered \[\]"),
        (response([1, 2, 3], name="scores"), "scores"),
        (response([1, 2, 3], datatype="FP64"), "FP64"),
        (response([1, 2, 3], shape=(3,)), r"FP32\[3\]"),
        (response([1, 2, 3, 4], shape=(1, 4)), r"instead of FP32\[1, 3\]"),
        (response([1, 2]), "not 3 finite numbers"),
        (response([1, 2], raw=False), "not 3 finite numbers"),
        (response([1, float("nan"), 3]), "not 3 finite numbers"),
        (response([1, float("inf"), 3]), "not 3 finite numbers"),
    ],
)
def test_answer_that_makes_no_sense_is_bad(
    answer: inference_pb2.ModelInferResponse, words: str
) -> None:
    with pytest.raises(BadAnswerError, match=words):
        read_logits(answer, 3)
