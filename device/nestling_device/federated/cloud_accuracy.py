"""Asks the cloud about a device's held-out inputs, to see how often the cloud is right.

The cloud may have become worse than the devices: they have learned from this fleet, and the teacher
has not. Inputs leave the device for this, as they do for an offload; their labels do not.
"""

import logging
import time

import grpc
import numpy as np
from numpy.typing import NDArray

from nestling import offload_parameters
from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling_core.nest.bundle_files import teacher_version
from nestling_device.federated.participant import Node
from nestling_device.transport.grpc_channel import Channel, retry_ms

_log = logging.getLogger(__name__)

MOST_INPUTS = 256
"""The most held-out inputs that the cloud is asked about."""
_MOST_ROWS, _MOST_BYTES = 32, 1 << 20
_TIMEOUT_S = 10.0
_TRIES = 5


def cloud_accuracy(node: Node) -> tuple[int, float] | None:
    """Return the number of held-out inputs that the cloud answered, and how often it was right.

    If there are more than `MOST_INPUTS` held-out inputs, only `MOST_INPUTS` of them, evenly spaced,
    are sent.

    Args:
        node: this device.

    Returns:
        The number and the share from 0 to 1, or None if no input may leave the device, if no input
        is held out, or if the cloud did not answer all of them.
    """
    inputs, labels = node.examples.held_out_inputs, node.examples.held_out_labels
    if node.cloud is None or not len(labels):
        return None
    chosen = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), MOST_INPUTS)).astype(int))
    channel = Channel(node.cloud, node.identity)
    rows = max(1, min(_MOST_ROWS, _MOST_BYTES // inputs[0].nbytes))
    try:
        answers = [
            _answers(channel, node, inputs[chosen[start : start + rows]])
            for start in range(0, len(chosen), rows)
        ]
    except (grpc.RpcError, ValueError) as err:
        _log.warning("the cloud was not asked about held-out inputs: %s", err)
        return None
    finally:
        channel.close()
    right = np.concatenate(answers) == labels[chosen]
    return len(chosen), float(right.mean())


def _answers(channel: Channel, node: Node, inputs: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the cloud's classes for a few inputs, (N,).

    If the cloud is overloaded, wait as long as it asks, a few times. Raise ValueError if the answer
    has another size.
    """
    request = inference_pb2.ModelInferRequest(
        model_name=node.manifest.cloud.name, model_version=teacher_version(node.manifest)
    )
    request.parameters[offload_parameters.DEVICE_ID].string_param = node.device
    request.inputs.add(name="input", datatype="FP32", shape=inputs.shape)
    request.raw_input_contents.append(np.ascontiguousarray(inputs, "<f4").tobytes())
    stub = channel.stub(inference_pb2_grpc.GRPCInferenceServiceStub)
    for left in reversed(range(_TRIES)):
        try:
            response = stub.ModelInfer(request, timeout=_TIMEOUT_S)
            break
        except grpc.RpcError as err:
            wait_ms = retry_ms(err)
            if wait_ms is None or not left:
                raise
            time.sleep(min(wait_ms / 1e3, _TIMEOUT_S))
    classes = len(node.manifest.signature.classes)
    content = response.raw_output_contents[0] if response.raw_output_contents else b""
    if len(content) != 4 * classes * len(inputs):
        raise ValueError(f"the answer has {len(content)} bytes")
    found: NDArray[np.intp] = np.frombuffer(content, "<f4").reshape(len(inputs), classes).argmax(1)
    return found
