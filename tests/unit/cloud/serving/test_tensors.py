import numpy as np
import pytest

from nestling.inference.v2 import inference_pb2 as pb
from nestling_cloud.cloud_model.signature import Signature
from nestling_cloud.serving import tensors

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


def decode(request: pb.ModelInferRequest) -> np.ndarray:
    return tensors.decode(request, SIGNATURE, max_rows=8)


@pytest.mark.parametrize("make", [raw_request, typed_request])
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
        (wrong_datatype, "datatype has to be FP32, not 'INT8'"),
        (wrong_rank, "shape has to be [n, 2, 3], not [2, 3]"),
        (wrong_axis, "shape has to be [n, 2, 3], not [1, 3, 2]"),
        (negative_rows, "1 to 8 inputs in one request, not -2"),
        (huge_rows, "1 to 8 inputs in one request"),
        (no_rows, "1 to 8 inputs in one request, not 0"),
        (too_many_rows, "1 to 8 inputs in one request, not 9"),
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

    response = tensors.encode(raw_request(), SIGNATURE, logits)

    assert response.id == "42"
    assert list(response.raw_output_contents) == [logits.tobytes()]
    assert not response.outputs[0].HasField("contents")
    assert list(response.outputs[0].shape) == [1, 4]


def test_typed_request_gets_a_typed_answer() -> None:
    logits = np.array([[0, 1, 2, 3]], np.float32)

    response = tensors.encode(typed_request(), SIGNATURE, logits)

    assert list(response.outputs[0].contents.fp32_contents) == [0, 1, 2, 3]
    assert not response.raw_output_contents


@pytest.mark.parametrize(
    ("name", "version", "served"),
    [("teacher", "", True), ("teacher", "1", True), ("teacher", "2", False), ("other", "", False)],
)
def test_only_the_loaded_model_and_version_is_served(
    name: str, version: str, *, served: bool
) -> None:
    assert tensors.serves(SIGNATURE, name, version) is served
