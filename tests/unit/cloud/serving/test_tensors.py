import numpy as np
import pytest

from nestling import offload_parameters
from nestling.inference.v2 import inference_pb2 as pb
from nestling.v1.bundle_pb2 import WireForm
from nestling_cloud.cloud_model.signature import Signature
from nestling_cloud.serving import tensors
from nestling_core.wire import forms

SIGNATURE = Signature(
    model="teacher", input_name="input", shape=(2, 3), output_name="logits", classes=4
)
ROWS = np.arange(12, dtype=np.float32).reshape(2, 2, 3)


def raw_request(rows: np.ndarray = ROWS) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="teacher", id="42")
    request.inputs.add(name="input", datatype="FP32", shape=rows.shape)
    request.raw_input_contents.append(rows.astype("<f4").tobytes())
    return request


def typed_request(rows: np.ndarray = ROWS) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="teacher")
    tensor = request.inputs.add(name="input", datatype="FP32", shape=rows.shape)
    tensor.contents.fp32_contents.extend(rows.ravel().tolist())
    return request


def half_request() -> pb.ModelInferRequest:
    request = raw_request()
    request.inputs[0].datatype = "FP16"
    request.raw_input_contents[0] = ROWS.astype("<f2").tobytes()
    return request


def coded_request(*payloads: bytes, form: str = "int8") -> pb.ModelInferRequest:
    """Encode the rows as integers, which represent them exactly, or use the given payloads."""
    whole = WireForm(name="int8", scales=[1.0, 1.0])
    encoded = payloads or [forms.encode(whole, row) for row in ROWS]
    request = pb.ModelInferRequest(model_name="teacher")
    tensor = request.inputs.add(name="input", datatype="BYTES", shape=[len(encoded)])
    tensor.parameters["wire_form"].string_param = form
    request.raw_input_contents.append(offload_parameters.pack_bytes(encoded))
    return request


def decode(request: pb.ModelInferRequest) -> np.ndarray:
    return tensors.decode(request, SIGNATURE, max_rows=8)


@pytest.mark.parametrize("make", [raw_request, typed_request, half_request, coded_request])
def test_decoded_rows_are_what_was_sent(make: type) -> None:
    decoded = decode(make())

    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, ROWS)


def wrong_name() -> pb.ModelInferRequest:
    request = raw_request()
    request.inputs[0].name = "image"
    return request


def no_input() -> pb.ModelInferRequest:
    return pb.ModelInferRequest(model_name="teacher")


def two_inputs() -> pb.ModelInferRequest:
    request = raw_request()
    request.inputs.append(request.inputs[0])
    return request


def wrong_datatype() -> pb.ModelInferRequest:
    request = raw_request()
    request.inputs[0].datatype = "INT8"
    return request


def short_half() -> pb.ModelInferRequest:
    request = half_request()
    request.raw_input_contents[0] = request.raw_input_contents[0][2:]
    return request


def typed_half() -> pb.ModelInferRequest:
    request = typed_request()
    request.inputs[0].datatype = "FP16"
    return request


def unknown_form() -> pb.ModelInferRequest:
    return coded_request(form="zip")


def no_form() -> pb.ModelInferRequest:
    request = coded_request()
    request.inputs[0].parameters.clear()
    return request


def damaged_payload() -> pb.ModelInferRequest:
    return coded_request(bytes(20))


def huge_payload() -> pb.ModelInferRequest:
    return coded_request(bytes(100_000))


def too_few_elements() -> pb.ModelInferRequest:
    request = coded_request()
    request.inputs[0].shape[0] = 3
    return request


def too_many_elements() -> pb.ModelInferRequest:
    request = coded_request()
    request.raw_input_contents[0] = bytes(1_000_000)
    return request


def cut_element() -> pb.ModelInferRequest:
    request = coded_request()
    request.raw_input_contents[0] = request.raw_input_contents[0][:-1]
    return request


def coded_with_two_axes() -> pb.ModelInferRequest:
    request = coded_request()
    request.inputs[0].shape.append(3)
    return request


def coded_without_rows() -> pb.ModelInferRequest:
    request = coded_request()
    request.inputs[0].shape[0] = 0
    return request


def infinite_when_decoded() -> pb.ModelInferRequest:
    largest = np.full((2, 3), 3e38, np.float32)
    payload = forms.encode(WireForm(name="int8", scales=[1.0, 1.0]), largest)
    scales = np.array([3e38, 3e38], "<f4").tobytes()
    return coded_request(scales + payload[8:])


def wrong_rank() -> pb.ModelInferRequest:
    return raw_request(ROWS[0])


def wrong_axis() -> pb.ModelInferRequest:
    return raw_request(np.zeros((1, 3, 2), np.float32))


def negative_rows() -> pb.ModelInferRequest:
    request = raw_request()
    request.inputs[0].shape[0] = -2
    return request


def huge_rows() -> pb.ModelInferRequest:
    request = raw_request()
    request.inputs[0].shape[0] = 2**62
    return request


def no_rows() -> pb.ModelInferRequest:
    return raw_request(np.zeros((0, 2, 3), np.float32))


def too_many_rows() -> pb.ModelInferRequest:
    return raw_request(np.zeros((9, 2, 3), np.float32))


def short_raw() -> pb.ModelInferRequest:
    request = raw_request()
    request.raw_input_contents[0] = request.raw_input_contents[0][:-1]
    return request


def short_typed() -> pb.ModelInferRequest:
    request = typed_request()
    request.inputs[0].contents.fp32_contents.pop()
    return request


def both() -> pb.ModelInferRequest:
    request = typed_request()
    request.raw_input_contents.append(ROWS.tobytes())
    return request


def not_a_number() -> pb.ModelInferRequest:
    rows = ROWS.copy()
    rows[1, 1, 1] = np.nan
    return raw_request(rows)


def infinite() -> pb.ModelInferRequest:
    rows = ROWS.copy()
    rows[0, 0, 0] = -np.inf
    return typed_request(rows)


def unknown_output() -> pb.ModelInferRequest:
    request = raw_request()
    request.outputs.add(name="features")
    return request


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (wrong_name, "one input tensor named 'input', not ['image']"),
        (no_input, "one input tensor named 'input', not []"),
        (two_inputs, "one input tensor"),
        (wrong_datatype, "datatype has to be FP32, FP16 or BYTES, not 'INT8'"),
        (wrong_rank, "shape has to be [n, 2, 3], not [2, 3]"),
        (wrong_axis, "shape has to be [n, 2, 3], not [1, 3, 2]"),
        (negative_rows, "1 to 8 inputs in one request, not -2"),
        (huge_rows, "1 to 8 inputs in one request"),
        (no_rows, "1 to 8 inputs in one request, not 0"),
        (too_many_rows, "1 to 8 inputs in one request, not 9"),
        (short_half, "needs 24 bytes in raw_input_contents, there are 22"),
        (typed_half, "send the tensor once"),
        (unknown_form, "wire form 'zip': there is no such form here: there are fp32, fp16"),
        (no_form, "wire form '': there is no such form"),
        (damaged_payload, "wire form 'int8': the scales"),
        (huge_payload, "more than an input of this shape needs"),
        (too_few_elements, "does not consist of 3 elements"),
        (too_many_elements, "does not consist of 2 elements"),
        (cut_element, "does not consist of 2 elements"),
        (coded_with_two_axes, "shape has to be [n, 2, 3]"),
        (coded_without_rows, "1 to 8 inputs in one request, not 0"),
        (infinite_when_decoded, "every value has to be finite"),
        (short_raw, "needs 48 bytes in raw_input_contents, there are 47"),
        (short_typed, "needs 12 values in fp32_contents, there are 11"),
        (both, "send the tensor once"),
        (not_a_number, "every value has to be finite"),
        (infinite, "every value has to be finite"),
        (unknown_output, "the only output is 'logits', not ['features']"),
    ],
)
def test_invalid_request_is_rejected_with_what_to_send(make: type, message: str) -> None:
    with pytest.raises(tensors.TensorError) as raised:
        decode(make())

    assert message in str(raised.value)


def test_raw_request_gets_a_raw_answer() -> None:
    logits = np.array([[0, 1, 2, 3]], np.float32)

    response = tensors.encode(raw_request(), SIGNATURE, "1a", logits)

    assert (response.id, response.model_version) == ("42", "1a")
    assert list(response.raw_output_contents) == [logits.tobytes()]
    assert not response.outputs[0].HasField("contents")
    assert list(response.outputs[0].shape) == [1, 4]


def test_typed_request_gets_a_typed_answer() -> None:
    logits = np.array([[0, 1, 2, 3]], np.float32)

    response = tensors.encode(typed_request(), SIGNATURE, "1a", logits)

    assert list(response.outputs[0].contents.fp32_contents) == [0, 1, 2, 3]
    assert not response.raw_output_contents
