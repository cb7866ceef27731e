"""Decodes inference requests and encodes the answers.

The functions are pure and use no gRPC.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nestling import offload_parameters
from nestling.inference.v2 import inference_pb2
from nestling_cloud.cloud_model.signature import Signature
from nestling_cloud.errors import CloudError
from nestling_cloud.serving.excerpt import excerpt, excerpts
from nestling_core.wire import forms

_DATATYPE = "FP32"
_DATATYPES = {_DATATYPE: "<f4", "FP16": "<f2"}

Request = inference_pb2.ModelInferRequest
Response = inference_pb2.ModelInferResponse


class TensorError(CloudError):
    """Raised when a request does not fit the model; the message says what to send instead."""


def metadata(signature: Signature, versions: Sequence[str]) -> inference_pb2.ModelMetadataResponse:
    """Return the description of a model in the Open Inference Protocol.

    In the shapes, -1 stands for the batch size.

    Args:
        signature: the signature of the model.
        versions: the versions that are ready to answer.
    """
    tensor = inference_pb2.ModelMetadataResponse.TensorMetadata
    return inference_pb2.ModelMetadataResponse(
        name=signature.model,
        versions=versions,
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
        request: the request as received. An FP32 tensor has its values in `raw_input_contents`
            (little-endian) or in the tensor's `contents.fp32_contents`. An FP16 tensor has them in
            `raw_input_contents`. A BYTES tensor has one encoded input in each element, in
            `raw_input_contents`, and the name of the form in the tensor's parameter `wire_form`.
        signature: the signature of the model.
        max_rows: the largest number of inputs in one request.

    Returns:
        The finite float32 values, of the shape `(N, *shape)` with N from 1 to `max_rows`.

    Raises:
        TensorError: the name of an input or output, the data type, the shape or the number of
            values is wrong, the values are sent in both places or in neither, an encoded input
            cannot be decoded, or a value is not finite.
    """
    _check_outputs(request, signature)
    if len(request.inputs) != 1 or request.inputs[0].name != signature.input_name:
        names = [tensor.name for tensor in request.inputs]
        raise TensorError(
            f"send one input tensor named {signature.input_name!r}, not {excerpts(names)}"
        )
    values = _windows(request, signature, max_rows)
    if not np.isfinite(values).all():
        raise TensorError("every value has to be finite; there are NaN or infinite ones")
    return values


def encode(
    request: Request, signature: Signature, version: str, logits: NDArray[np.float32]
) -> Response:
    """Return the response to a request.

    The answer is encoded like the request, as raw bytes or as typed values.

    Args:
        request: the request to answer.
        signature: the signature of the model.
        version: the version of the model.
        logits: the answer as float32, of the shape `(N, O)`.
    """
    tensor = Response.InferOutputTensor(
        name=signature.output_name, datatype=_DATATYPE, shape=logits.shape
    )
    response = Response(model_name=signature.model, model_version=version, id=request.id)
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


def _windows(request: Request, signature: Signature, max_rows: int) -> NDArray[np.float32]:
    tensor, row = request.inputs[0], signature.shape
    if tensor.datatype == offload_parameters.BYTES:
        return _decoded(request, row, max_rows)
    if tensor.datatype not in _DATATYPES:
        raise TensorError(
            f"datatype has to be {', '.join(_DATATYPES)} or {offload_parameters.BYTES}, not "
            f"{excerpt(tensor.datatype)}"
        )
    shape = _check_shape(tuple(tensor.shape), row, max_rows)
    if request.raw_input_contents or tensor.datatype != _DATATYPE:
        raw, kind = _raw(request), np.dtype(_DATATYPES[tensor.datatype])
        needed = kind.itemsize * math.prod(shape)
        if len(raw) != needed:
            raise TensorError(
                f"the shape needs {needed} bytes in raw_input_contents, there are {len(raw)}"
            )
        return np.frombuffer(raw, kind).astype(np.float32, copy=False).reshape(shape)
    typed, count = tensor.contents.fp32_contents, math.prod(shape)
    if len(typed) != count:
        raise TensorError(
            f"the shape needs {count} values in fp32_contents, there are {len(typed)}"
        )
    return np.array(typed, np.float32).reshape(shape)


def _decoded(request: Request, row: tuple[int, ...], max_rows: int) -> NDArray[np.float32]:
    tensor = request.inputs[0]
    (count, *_) = _check_shape((*tensor.shape, *row), row, max_rows)
    name = tensor.parameters[offload_parameters.WIRE_FORM].string_param
    try:
        payloads = offload_parameters.unpack_bytes(_raw(request), count)
        return np.stack([forms.decode(name, payload, row) for payload in payloads])
    except ValueError as err:  # WireError is one
        raise TensorError(f"wire form {excerpt(name)}: {err}") from err


def _check_shape(shape: tuple[int, ...], row: tuple[int, ...], max_rows: int) -> tuple[int, ...]:
    if len(shape) != len(row) + 1 or shape[1:] != row:
        wanted = ["n", *row]
        raise TensorError(f"shape has to be [{', '.join(map(str, wanted))}], not {excerpts(shape)}")
    if not 1 <= shape[0] <= max_rows:
        raise TensorError(f"send 1 to {max_rows} inputs in one request, not {shape[0]}")
    return shape


def _raw(request: Request) -> bytes:
    if len(request.raw_input_contents) != 1 or request.inputs[0].HasField("contents"):
        raise TensorError("send the tensor once: in raw_input_contents or in contents")
    return request.raw_input_contents[0]
