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


def test_infer_request_carries_one_raw_float32_input_and_the_device_id() -> None:
    window = np.arange(6, dtype=np.float32).reshape(2, 3)

    offload = OffloadRequest(window=window.T, index=7, device_answer=0)

    request = infer_request(offload, model="teacher", device_id="pi-1")

    (tensor,) = request.inputs
    assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("input", "FP32", [1, 3, 2])
    assert [window.T.tobytes()] == list(request.raw_input_contents)
    assert request.parameters["device_id"].string_param == "pi-1"
    assert request.parameters["input_index"].int64_param == 7
    assert request.parameters["device_answer"].int64_param == 0


def test_infer_request_without_a_student_answer_omits_it() -> None:
    offload = OffloadRequest(window=np.zeros((2, 3), np.float32), index=7, device_answer=None)

    assert "device_answer" not in infer_request(offload, model="m", device_id="d").parameters


@pytest.mark.parametrize("raw", [True, False])
def test_read_logits_accepts_raw_and_typed_values(raw: bool) -> None:
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
def test_read_logits_invalid_response_raises(
    answer: inference_pb2.ModelInferResponse, words: str
) -> None:
    with pytest.raises(BadAnswerError, match=words):
        read_logits(answer, 3)
