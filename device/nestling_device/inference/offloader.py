"""Sends an input to the cloud for its answer: the port, and the Open Inference Protocol."""

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
from nestling_device.errors import DeviceError
from nestling_device.transport.grpc_channel import Channel
from nestling_device.transport.identity import Identity

# What gRPC and HTTP/2 add to a message, without TCP/IP: frame and message headers, header fields
# (indexed from the second call on), trailers, pings. Counted on a socket: the mean of calls 50 to
# 300 on one connection of grpcio 1.85.
FRAMING_BYTES_UP = 58
FRAMING_BYTES_DOWN = 64
# A connection whose other end is gone without a word looks like a slow cloud. Dialling again for
# every missed deadline would make a slow cloud slower, never doing it would wait for TCP's minutes.
_MISSES_BEFORE_REDIAL = 3


class OffloadError(DeviceError):
    """The cloud gave no usable answer; the device's own has to do."""


class DeadlineMissedError(OffloadError):
    """No answer by the deadline."""


class UnreachableError(OffloadError):
    """No connection, or it broke before the answer."""


class BadAnswerError(OffloadError):
    """The cloud refused the input, or its answer makes no sense."""


@dataclass(frozen=True, kw_only=True)
class CloudAnswer:
    """The teacher's answer to one input, and what it took."""

    logits: NDArray[np.float32]  # (classes,), finite
    bytes_up: int
    bytes_down: int
    wall_ms: float  # measured


@dataclass(frozen=True, kw_only=True)
class OffloadRequest:
    """An input on its way to the cloud.

    Attributes:
        window: in the task's shape, without a batch axis.
        index: position in the source.
        device_answer: class index that the student gave, None if none ran.
    """

    window: NDArray[np.float32]
    index: int
    device_answer: int | None


class Offloader(Protocol):
    """Gets the cloud's answer to an input."""

    def offload(self, question: OffloadRequest, *, deadline_ms: float) -> CloudAnswer:
        """Ask the cloud.

        Args:
            question: the input, and what is known of it.
            deadline_ms: when the answer has to be here, from now.

        Raises:
            DeadlineMissedError: no answer by then.
            UnreachableError: the cloud cannot be reached.
            BadAnswerError: it refused, or its answer is of another shape or not finite.
        """
        ...

    def close(self) -> None:
        """End the connection; closing twice is no error."""
        ...


class GrpcOffloader:
    """An `Offloader` for any server of the Open Inference Protocol v2; for one thread.

    After a failed call it hangs up and dials again for the next one, so that the first call after
    an outage is answered.
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
        """Make an offloader; it dials when first asked.

        Args:
            address: of the inference service.
            model: the cloud model's name there; input tensor `input`, output tensor `logits`.
            classes: number of logits expected.
            device_id: told to the cloud with every input.
            identity: for TLS, with the name `device_id`; None without.
        """
        self._channel = Channel(address, identity)
        self._model = model
        self._classes = classes
        self._device_id = device_id
        self._misses = 0

    def offload(self, question: OffloadRequest, *, deadline_ms: float) -> CloudAnswer:
        request = infer_request(question, model=self._model, device_id=self._device_id)
        started = time.perf_counter()
        stub = self._channel.stub(inference_pb2_grpc.GRPCInferenceServiceStub)
        try:
            response = stub.ModelInfer(request, timeout=deadline_ms / 1000)
        except grpc.RpcError as err:
            raise self._failure(err, deadline_ms) from err
        self._misses = 0
        return CloudAnswer(
            logits=read_logits(response, self._classes),
            bytes_up=request.ByteSize() + FRAMING_BYTES_UP,
            bytes_down=response.ByteSize() + FRAMING_BYTES_DOWN,
            wall_ms=(time.perf_counter() - started) * 1000,
        )

    def _failure(self, err: grpc.RpcError, deadline_ms: float) -> OffloadError:
        code, target = err.code(), self._channel.address
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._misses += 1
            if self._misses >= _MISSES_BEFORE_REDIAL:
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
    question: OffloadRequest, *, model: str, device_id: str
) -> inference_pb2.ModelInferRequest:
    """Put one input into a request, as raw little-endian float32 with a batch axis of 1."""
    window = question.window
    request = inference_pb2.ModelInferRequest(model_name=model)
    request.parameters[offload_parameters.DEVICE_ID].string_param = device_id
    request.parameters[offload_parameters.INPUT_INDEX].int64_param = question.index
    if question.device_answer is not None:
        request.parameters[offload_parameters.DEVICE_ANSWER].int64_param = question.device_answer
    request.inputs.add(name="input", datatype="FP32", shape=[1, *window.shape])
    request.raw_input_contents.append(np.ascontiguousarray(window, "<f4").tobytes())
    return request


def read_logits(response: inference_pb2.ModelInferResponse, classes: int) -> NDArray[np.float32]:
    """Take the logits out of an answer, raw or typed.

    Returns:
        float32 of shape (classes,).

    Raises:
        BadAnswerError: another tensor, another shape, or a value that is not finite.
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
