"""Builds the requests of the Open Inference Protocol for the cloud, and reads its responses."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling import offload_parameters
from nestling.inference.v2 import inference_pb2
from nestling.v1.bundle_pb2 import WireForm
from nestling_core.wire import forms
from nestling_device.inference.offloader import BadAnswerError, OffloadRequest


class ModelVersion(NamedTuple):
    """The name and version of a cloud model.

    Attributes:
        name: the name of the model.
        version: the version of the model; "" for the newest.
    """

    name: str
    version: str


def infer_request(
    request: OffloadRequest, form: WireForm, model: ModelVersion, *, device_id: str
) -> inference_pb2.ModelInferRequest:
    """Return the request that asks the cloud model for its answer to one input.

    Args:
        request: the input, and what the device knows about it.
        form: the form in which the input is encoded.
        model: the cloud model.
        device_id: the id of this device.

    Raises:
        WireError: the form cannot represent the values of this input.
    """
    window = request.window
    message = inference_pb2.ModelInferRequest(model_name=model.name, model_version=model.version)
    message.parameters[offload_parameters.DEVICE_ID].string_param = device_id
    message.parameters[offload_parameters.INPUT_INDEX].int64_param = request.index
    if request.device_answer is not None:
        code, values = request.device_answer
        message.parameters[offload_parameters.DEVICE_ANSWER].int64_param = code
        if values:
            text = offload_parameters.values_text(values)
            message.parameters[offload_parameters.DEVICE_VALUES].string_param = text
    if request.audit:
        message.parameters[offload_parameters.AUDIT].bool_param = True
    payload, name = forms.encode(form, window), forms.wire_name(form.name)
    tensor = message.inputs.add(name="input")
    if name in {forms.FP32, forms.FP16}:
        tensor.datatype = name.upper()
        tensor.shape.extend([1, *window.shape])
    else:
        tensor.datatype = offload_parameters.BYTES
        tensor.shape.append(1)
        tensor.parameters[offload_parameters.WIRE_FORM].string_param = name
        payload = offload_parameters.pack_bytes([payload])
    message.raw_input_contents.append(payload)
    return message


def read_logits(response: inference_pb2.ModelInferResponse, count: int) -> NDArray[np.float32]:
    """Return the model's outputs for one input in a response.

    The server may send them as raw bytes or as typed values.

    Args:
        response: the server's response.
        count: the expected number of outputs.

    Returns:
        The outputs, float32 of shape (count,).

    Raises:
        BadAnswerError: the response has a different tensor, type or shape, or a value that is
            not finite.
    """
    if len(response.outputs) != 1 or response.outputs[0].name != "logits":
        names = [output.name for output in response.outputs]
        raise BadAnswerError(f"the cloud answered {names} instead of ['logits']")
    output = response.outputs[0]
    if output.datatype != "FP32" or list(output.shape) != [1, count]:
        raise BadAnswerError(
            f"the cloud answered {output.datatype}{list(output.shape)} instead of FP32[1, {count}]"
        )
    if response.raw_output_contents:
        data = response.raw_output_contents[0]
        values = np.frombuffer(data, "<f4") if len(data) == 4 * count else np.empty(0, "<f4")
    else:
        values = np.array(output.contents.fp32_contents, "<f4")
    if values.size != count or not math.isfinite(float(np.abs(values).sum(dtype=np.float64))):
        raise BadAnswerError(f"the cloud's answer is not {count} finite numbers")
    return values.astype(np.float32)
