"""Asks the cloud about a device's held-out inputs, to see how often the cloud is right.

The cloud may have become worse than the devices: they have learned from this fleet, and the teacher
has not. Inputs leave the device for this, as they do for an offload; their labels do not.
"""

import logging

import grpc
import numpy as np
from numpy.typing import NDArray

from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling.v1.bundle_pb2 import Manifest
from nestling_core.nest.bundle_files import teacher_version
from nestling_core.network.address import Address
from nestling_device.transport.grpc_channel import Channel
from nestling_device.transport.identity import Identity

_log = logging.getLogger(__name__)

MOST_INPUTS = 256
"""The most held-out inputs that the cloud is asked about."""
_ROWS = 32
_TIMEOUT_S = 10.0


def cloud_accuracy(
    address: Address,
    identity: Identity | None,
    manifest: Manifest,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> tuple[int, float] | None:
    """Return the number of inputs that the cloud answered, and how often it was right.

    If there are more than `MOST_INPUTS` inputs, as many at equal distances are sent.

    Args:
        address: the address of the cloud.
        identity: the identity for TLS, or None to connect without TLS.
        manifest: the manifest of the device's bundle, which names the cloud model.
        inputs: the inputs, (N, *shape).
        labels: their classes, (N,).

    Returns:
        The number and the share from 0 to 1, or None if there are no inputs, or if the cloud did
        not answer all of them.
    """
    if not len(labels):
        return None
    chosen = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), MOST_INPUTS)).astype(int))
    channel = Channel(address, identity)
    try:
        answers = [
            _answers(channel, manifest, inputs[chosen[start : start + _ROWS]])
            for start in range(0, len(chosen), _ROWS)
        ]
    except (grpc.RpcError, ValueError) as err:
        _log.warning("the cloud was not asked about held-out inputs: %s", err)
        return None
    finally:
        channel.close()
    right = np.concatenate(answers) == labels[chosen]
    return len(chosen), float(right.mean())


def _answers(channel: Channel, manifest: Manifest, inputs: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the cloud's classes for a few inputs, (N,).

    Raise ValueError if the answer has another size.
    """
    request = inference_pb2.ModelInferRequest(
        model_name=manifest.cloud.name, model_version=teacher_version(manifest)
    )
    request.inputs.add(name="input", datatype="FP32", shape=inputs.shape)
    request.raw_input_contents.append(np.ascontiguousarray(inputs, "<f4").tobytes())
    stub = channel.stub(inference_pb2_grpc.GRPCInferenceServiceStub)
    response = stub.ModelInfer(request, timeout=_TIMEOUT_S)
    classes = len(manifest.signature.classes)
    content = response.raw_output_contents[0] if response.raw_output_contents else b""
    if len(content) != 4 * classes * len(inputs):
        raise ValueError(f"the answer has {len(content)} bytes")
    found: NDArray[np.intp] = np.frombuffer(content, "<f4").reshape(len(inputs), classes).argmax(1)
    return found
