"""Decodes inference requests and encodes the answers.

The functions are pure and use no gRPC.
"""

import math

import numpy as np
from numpy.typing import NDArray

from nestling.inference.v2 import inference_pb2
from nestling_cloud.cloud_model.signature import Signature
from nestling_cloud.errors import CloudError
from nestling_cloud.serving.excerpt import excerpt, excerpts

MODEL_VERSION = "1"
_DATATYPE = "FP32"

Request = inference_pb2.ModelInferRequest
Response = inference_pb2.ModelInferResponse


class TensorError(CloudError):
    """Raised when a request does not fit the model; the message says what to send instead."""


def serves(signature: Signature, name: str, version: str) -> bool:
    """Return whether a name and version in a request refer to this model.

    Args:
        signature: the signature of this model.
        name: the model's name in the request.
        version: the model's version in the request; "" for any.
    """
    return name == signature.model and version in {"", MODEL_VERSION}


def metadata(signature: Signature) -> inference_pb2.ModelMetadataResponse:
    """Return the description of a model in the Open Inference Protocol.

    In the shapes, -1 stands for the batch size.
    """
    tensor = inference_pb2.ModelMetadataResponse.TensorMetadata
    return inference_pb2.ModelMetadataResponse(
        name=signature.model,
        versions=[MODEL_VERSION],
        platform="onnxruntime_onnx",
        inputs=[
            tensor(name=signature.input_name, datatype=_DATATYPE, shape=[-1, *signature.shape])
        ],
        outputs=[
            tensor(name=signature.output_name, datatype=_DATATYPE, shape=[-1, signature.classes])
        ],
    )


def decode(request: Request, signature: Signature, *, max_rows: int) -> NDArray[np.float32]:
    """Return the input tensor of a request.

    Args:
        request: the request as received. Its values are in `raw_input_contents` (little-endian) or
            in the tensor's `contents.fp32_contents`.
        signature: the signature of the model.
        max_rows: the largest number of inputs in one request.

    Returns:
        The finite float32 values, of the shape `(N, *shape)` with N from 1 to `max_rows`.

    Raises:
        TensorError: the name of an input or output, the data type, the shape or the number of
            values is wrong, or a value is not finite.
    """
    _check_outputs(request, signature)
    if len(request.inputs) != 1 or request.inputs[0].name != signature.input_name:
        names = [tensor.name for tensor in request.inputs]
        raise TensorError(
            f"send one input tensor named {signature.input_name!r}, not {excerpts(names)}"
        )
    tensor = request.inputs[0]
    if tensor.datatype != _DATATYPE:
        raise TensorError(f"datatype has to be {_DATATYPE}, not {excerpt(tensor.datatype)}")
    shape = _check_shape(tuple(tensor.shape), signature, max_rows)
    values = _values(request, math.prod(shape)).reshape(shape)
    if not np.isfinite(values).all():
        raise TensorError("every value has to be finite; there are NaN or infinite ones")
    return values


def encode(request: Request, signature: Signature, logits: NDArray[np.float32]) -> Response:
    """Return the response to a request.

    The answer is encoded like the request, as raw bytes or as typed values.

    Args:
        request: the request to answer.
        signature: the signature of the model.
        logits: the answer as float32, of the shape `(N, classes)`.
    """
    tensor = Response.InferOutputTensor(
        name=signature.output_name, datatype=_DATATYPE, shape=logits.shape
    )
    response = Response(model_name=signature.model, model_version=MODEL_VERSION, id=request.id)
    if request.raw_input_contents:
        response.raw_output_contents.append(logits.astype("<f4").tobytes())
    else:
        tensor.contents.fp32_contents.extend(logits.ravel().tolist())
    response.outputs.append(tensor)
    return response


def _check_outputs(request: Request, signature: Signature) -> None:
    unknown = [out.name for out in request.outputs if out.name != signature.output_name]
    if unknown:
        raise TensorError(f"the only output is {signature.output_name!r}, not {excerpts(unknown)}")


def _check_shape(shape: tuple[int, ...], signature: Signature, max_rows: int) -> tuple[int, ...]:
    if len(shape) != len(signature.shape) + 1 or shape[1:] != signature.shape:
        wanted = ["n", *signature.shape]
        raise TensorError(f"shape has to be [{', '.join(map(str, wanted))}], not {excerpts(shape)}")
    if not 1 <= shape[0] <= max_rows:
        raise TensorError(f"send 1 to {max_rows} inputs in one request, not {shape[0]}")
    return shape


def _values(request: Request, count: int) -> NDArray[np.float32]:
    typed = request.inputs[0].contents.fp32_contents
    if not request.raw_input_contents:
        if len(typed) != count:
            raise TensorError(
                f"the shape needs {count} values in fp32_contents, there are {len(typed)}"
            )
        return np.array(typed, np.float32)
    if len(request.raw_input_contents) != 1 or request.inputs[0].HasField("contents"):
        raise TensorError("send the tensor once: in raw_input_contents or in contents")
    raw = request.raw_input_contents[0]
    if len(raw) != 4 * count:
        raise TensorError(
            f"the shape needs {4 * count} bytes in raw_input_contents, there are {len(raw)}"
        )
    return np.frombuffer(raw, "<f4").astype(np.float32, copy=False)
