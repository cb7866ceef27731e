"""Sends inputs to the cloud for an answer, over the Open Inference Protocol.

`Offloader` is the interface that the agent uses, and `GrpcOffloader` is its implementation. These
are the errors:

    OffloadError
    ├── DeadlineMissedError
    ├── UnreachableError
    └── BadAnswerError
"""

import math
import time
from dataclasses import dataclass
from typing import Protocol

import grpc
import numpy as np
from numpy.typing import NDArray

from nestling import offload_parameters
from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling_core.network.address import Address
from nestling_core.routing.admission import FRAMING_BYTES_DOWN, FRAMING_BYTES_UP
from nestling_device.errors import DeviceError
from nestling_device.transport.grpc_channel import Channel
from nestling_device.transport.identity import Identity

# A connection whose other end vanished silently looks like a slow cloud. Reconnecting after every
# missed deadline would make a slow cloud slower; never reconnecting would wait minutes for TCP.
_MISSES_BEFORE_RECONNECT = 3


class OffloadError(DeviceError):
    """Raised when the cloud gives no usable answer.

    The device then uses its own answer.
    """


class DeadlineMissedError(OffloadError):
    """Raised when no answer arrives by the deadline."""


class UnreachableError(OffloadError):
    """Raised when the connection fails, or breaks before the answer arrives."""


class BadAnswerError(OffloadError):
    """Raised when the cloud refuses the input, or when the cloud's answer is invalid."""


@dataclass(frozen=True, kw_only=True)
class CloudAnswer:
    """The teacher's answer to one input, and its cost.

    Attributes:
        logits: the teacher's logits, finite float32 of shape (classes,).
        bytes_up: the number of bytes sent, including an estimate for the framing.
        bytes_down: the number of bytes received, including an estimate for the framing.
        wall_ms: the measured time from the request to the answer.
    """

    logits: NDArray[np.float32]
    bytes_up: int
    bytes_down: int
    wall_ms: float


@dataclass(frozen=True, kw_only=True)
class OffloadRequest:
    """An input to send to the cloud.

    Attributes:
        window: the input, float32 in the task's shape, without a batch axis.
        index: the position of the input in the source, from 0.
        device_answer: the class index that the device would answer, or None if no student ran.
    """

    window: NDArray[np.float32]
    index: int
    device_answer: int | None


class Offloader(Protocol):
    """Gets the cloud's answers to inputs."""

    def offload(self, request: OffloadRequest, *, deadline_ms: float) -> CloudAnswer:
        """Send an input to the cloud and return the cloud's answer.

        Args:
            request: the input, and what the device knows about it.
            deadline_ms: the longest wait for the answer.

        Raises:
            DeadlineMissedError: no answer arrived by the deadline.
            UnreachableError: the connection failed, or broke before the answer arrived.
            BadAnswerError: the cloud refused the input, or the cloud's answer has the wrong shape
                or is not finite.
        """
        ...

    def close(self) -> None:
        """Close the connection, or do nothing if it is closed already."""
        ...


class GrpcOffloader:
    """Offloads inputs to any server of the Open Inference Protocol v2.

    It reconnects after a broken connection and after three consecutive missed deadlines, so that
    the first call after an outage can succeed. It is not thread-safe.
    """

    def __init__(
        self,
        address: Address,
        *,
        model: str,
        classes: int,
        device_id: str,
        identity: Identity | None = None,
    ) -> None:
        """Prepare the connection, which the first call of `offload` opens.

        Args:
            address: the address of the inference service.
            model: the name of the cloud model. The model must have an input tensor `input` and an
                output tensor `logits`.
            classes: the expected number of logits.
            device_id: the id of this device, which is sent with every input.
            identity: the TLS identity issued to `device_id`, or None to connect without TLS.
        """
        self._channel = Channel(address, identity)
        self._model = model
        self._classes = classes
        self._device_id = device_id
        self._misses = 0

    def offload(self, request: OffloadRequest, *, deadline_ms: float) -> CloudAnswer:
        message = infer_request(request, model=self._model, device_id=self._device_id)
        started = time.perf_counter()
        stub = self._channel.stub(inference_pb2_grpc.GRPCInferenceServiceStub)
        try:
            response = stub.ModelInfer(message, timeout=deadline_ms / 1000)
        except grpc.RpcError as err:
            raise self._failure(err, deadline_ms) from err
        self._misses = 0
        return CloudAnswer(
            logits=read_logits(response, self._classes),
            bytes_up=message.ByteSize() + FRAMING_BYTES_UP,
            bytes_down=response.ByteSize() + FRAMING_BYTES_DOWN,
            wall_ms=(time.perf_counter() - started) * 1000,
        )

    def _failure(self, err: grpc.RpcError, deadline_ms: float) -> OffloadError:
        code, target = err.code(), self._channel.address
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._misses += 1
            if self._misses >= _MISSES_BEFORE_RECONNECT:
                self._hang_up()
            return DeadlineMissedError(f"{target} did not answer within {deadline_ms:g} ms")
        if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
            self._hang_up()
            return UnreachableError(f"{target} cannot be reached: {err.details()}")
        return BadAnswerError(f"{target} refused the input ({code.name}): {err.details()}")

    def _hang_up(self) -> None:
        self._channel.drop()
        self._misses = 0

    def close(self) -> None:
        self._channel.drop()


def infer_request(
    request: OffloadRequest, *, model: str, device_id: str
) -> inference_pb2.ModelInferRequest:
    """Return the request that asks the cloud model for its answer to one input.

    The input is encoded as raw little-endian float32 with a batch axis of length 1.

    Args:
        request: the input, and what the device knows about it.
        model: the name of the cloud model.
        device_id: the id of this device.
    """
    window = request.window
    message = inference_pb2.ModelInferRequest(model_name=model)
    message.parameters[offload_parameters.DEVICE_ID].string_param = device_id
    message.parameters[offload_parameters.INPUT_INDEX].int64_param = request.index
    if request.device_answer is not None:
        message.parameters[offload_parameters.DEVICE_ANSWER].int64_param = request.device_answer
    message.inputs.add(name="input", datatype="FP32", shape=[1, *window.shape])
    message.raw_input_contents.append(np.ascontiguousarray(window, "<f4").tobytes())
    return message


def read_logits(response: inference_pb2.ModelInferResponse, classes: int) -> NDArray[np.float32]:
    """Return the logits of a response.

    The server may send them as raw bytes or as typed values.

    Args:
        response: the server's response.
        classes: the expected number of logits.

    Returns:
        The logits, float32 of shape (classes,).

    Raises:
        BadAnswerError: the response has a different tensor, type or shape, or a value that is
            not finite.
    """
    if len(response.outputs) != 1 or response.outputs[0].name != "logits":
        names = [output.name for output in response.outputs]
        raise BadAnswerError(f"the cloud answered {names} instead of ['logits']")
    output = response.outputs[0]
    if output.datatype != "FP32" or list(output.shape) != [1, classes]:
        raise BadAnswerError(
            f"the cloud answered {output.datatype}{list(output.shape)} instead of "
            f"FP32[1, {classes}]"
        )
    if response.raw_output_contents:
        data = response.raw_output_contents[0]
        values = np.frombuffer(data, "<f4") if len(data) == 4 * classes else np.empty(0, "<f4")
    else:
        values = np.array(output.contents.fp32_contents, "<f4")
    if values.size != classes or not math.isfinite(float(np.abs(values).sum(dtype=np.float64))):
        raise BadAnswerError(f"the cloud's answer is not {classes} finite numbers")
    return values.astype(np.float32)
