import numpy as np
import pytest

from nestling.inference.v2 import inference_pb2
from nestling.v1.bundle_pb2 import WireForm
from nestling_core.kinds.kind import Answer
from nestling_core.routing.admission import (
    FRAMING_BYTES_DOWN,
    FRAMING_BYTES_UP,
    offload_bytes,
)
from nestling_core.wire import forms
from nestling_core.wire.choice import plain_form
from nestling_device.inference.offload_messages import ModelVersion, infer_request, read_logits
from nestling_device.inference.offloader import BadAnswerError, OffloadRequest
from tests.support.wire import INT8

TEACHER = ModelVersion("teacher", "1a")
INT8_OF_SIX = WireForm(name="int8", scales=[0.02] * 6)


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

    offload = OffloadRequest(window=window.T, index=7, device_answer=Answer(0))

    request = infer_request(offload, plain_form((3, 2)), TEACHER, device_id="pi-1")

    (tensor,) = request.inputs
    assert (request.model_name, request.model_version) == TEACHER
    assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("input", "FP32", [1, 3, 2])
    assert [window.T.tobytes()] == list(request.raw_input_contents)
    assert request.parameters["device_id"].string_param == "pi-1"
    assert request.parameters["input_index"].int64_param == 7
    assert request.parameters["device_answer"].int64_param == 0


def test_infer_request_without_a_student_answer_omits_it() -> None:
    offload = OffloadRequest(window=np.zeros((2, 3), np.float32), index=7, device_answer=None)

    request = infer_request(offload, plain_form((2, 3)), TEACHER, device_id="d")

    assert "device_answer" not in request.parameters


def test_encoded_input_is_an_element_of_bytes_with_its_form() -> None:
    window = np.arange(6, dtype=np.float32).reshape(2, 3)
    offload = OffloadRequest(window=window, index=7, device_answer=Answer(0))

    request = infer_request(offload, INT8, TEACHER, device_id="pi-1")

    (tensor,) = request.inputs
    assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("input", "BYTES", [1])
    assert tensor.parameters["wire_form"].string_param == "int8"
    payload = forms.encode(INT8, window)
    assert request.raw_input_contents[0] == len(payload).to_bytes(4, "little") + payload


@pytest.mark.parametrize("form", [plain_form((6, 100)), WireForm(name="fp16"), INT8_OF_SIX])
def test_request_has_about_the_expected_size(form: WireForm) -> None:
    window = np.random.default_rng(0).normal(size=(6, 100)).astype(np.float32)
    form.payload_bytes = len(forms.encode(form, window))
    offload = OffloadRequest(window=window, index=12345, device_answer=Answer(3))

    request = infer_request(
        offload, form, ModelVersion("wearable-teacher", "01234567"), device_id="pi-4b-1"
    )

    answer = 78  # of seven classes
    expected = offload_bytes(form) - FRAMING_BYTES_UP - FRAMING_BYTES_DOWN - answer
    assert request.ByteSize() == pytest.approx(expected, abs=3)


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
