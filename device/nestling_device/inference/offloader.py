"""Sends inputs to the cloud for an answer, over the Open Inference Protocol.

`Offloader` is the interface that the agent uses, and `GrpcOffloader` is its implementation. These
are the errors:

    OffloadError
    ├── DeadlineMissedError
    ├── UnreachableError
    ├── OverloadedError
    └── BadAnswerError
"""

import math
import time
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import grpc
import numpy as np
from numpy.typing import NDArray

from nestling import offload_parameters
from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling.v1.bundle_pb2 import Manifest, WireForm
from nestling_core.nest.bundle_files import teacher_version
from nestling_core.network.address import Address
from nestling_core.routing.admission import FRAMING_BYTES_DOWN, FRAMING_BYTES_UP
from nestling_core.wire import forms
from nestling_core.wire.choice import best_form, plain_form
from nestling_core.wire.errors import WireError
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


class OverloadedError(OffloadError):
    """Raised when the cloud refuses the input because it could not answer in time.

    Attributes:
        retry_ms: the time after which the cloud wants to be asked again, in milliseconds.
    """

    def __init__(self, text: str, retry_ms: int) -> None:
        super().__init__(text)
        self.retry_ms = retry_ms


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

    @property
    def form(self) -> WireForm:
        """The form in which the next input is sent, as far as is known."""
        ...

    def offload(self, request: OffloadRequest, *, deadline_ms: float) -> CloudAnswer:
        """Send an input to the cloud and return the cloud's answer.

        Args:
            request: the input, and what the device knows about it.
            deadline_ms: the longest wait for the answer.

        Raises:
            DeadlineMissedError: no answer arrived by the deadline.
            UnreachableError: the connection failed, or broke before the answer arrived.
            OverloadedError: the cloud could not have answered in time.
            BadAnswerError: the cloud refused the input, or the cloud's answer has the wrong shape
                or is not finite.
        """
        ...

    def close(self) -> None:
        """Close the connection, or do nothing if it is closed already."""
        ...


class ModelVersion(NamedTuple):
    """A cloud model.

    Attributes:
        name: the name of the model.
        version: the version of the model; "" for the newest.
    """

    name: str
    version: str


class GrpcOffloader:
    """Offloads inputs to any server of the Open Inference Protocol v2.

    Inputs are sent in the bundle's wire form if the server says that it takes this form, otherwise
    in another form that it takes, or as FP32, which every server takes. The server is asked before
    the first input on a connection.

    Inputs go to the bundle's own version of the cloud model, or if the server does not have it, to
    the newest one.

    It reconnects after a broken connection and after three consecutive missed deadlines, so that
    the first call after an outage can succeed. It is not thread-safe.
    """

    def __init__(
        self,
        address: Address,
        manifest: Manifest,
        *,
        device_id: str,
        identity: Identity | None = None,
    ) -> None:
        """Prepare the connection, which the first call of `offload` opens.

        Args:
            address: the address of the inference service.
            manifest: the bundle's manifest, which names the cloud model, the classes and the wire
                forms. The model must have an input tensor `input` and an output tensor `logits`.
            device_id: the id of this device, which is sent with every input.
            identity: the TLS identity issued to `device_id`, or None to connect without TLS.
        """
        self._channel = Channel(address, identity)
        self._manifest = manifest
        self._device_id = device_id
        self._misses = 0
        self._asked: bool
        self._form: WireForm
        self._model: ModelVersion
        self._forget_server()

    @property
    def form(self) -> WireForm:
        """The form in which the next input is sent.

        Before the server was asked, it is the form that a server with all forms would get.
        """
        return self._form

    def offload(self, request: OffloadRequest, *, deadline_ms: float) -> CloudAnswer:
        started = time.perf_counter()

        def left_s() -> float:
            return max(0.0, deadline_ms / 1000 - (time.perf_counter() - started))

        stub = self._channel.stub(inference_pb2_grpc.GRPCInferenceServiceStub)
        try:
            asked = self._ask_for_forms(stub, left_s()) if not self._asked else _NOTHING
            message = self._request(request)
            response = stub.ModelInfer(message, timeout=left_s())
        except grpc.RpcError as err:
            raise self._failure(err, deadline_ms) from err
        self._misses = 0
        return CloudAnswer(
            logits=read_logits(response, len(self._manifest.signature.classes)),
            bytes_up=asked.up + message.ByteSize() + FRAMING_BYTES_UP,
            bytes_down=asked.down + response.ByteSize() + FRAMING_BYTES_DOWN,
            wall_ms=(time.perf_counter() - started) * 1000,
        )

    def _ask_for_forms(
        self, stub: inference_pb2_grpc.GRPCInferenceServiceStub, timeout_s: float
    ) -> "_Bytes":
        """Ask the server which forms it takes, and choose one; return what crossed the link."""
        if self._form.name == forms.FP32:
            self._asked = True
            return _NOTHING
        message = inference_pb2.ServerMetadataRequest()
        try:
            response = stub.ServerMetadata(message, timeout=timeout_s)
        except grpc.RpcError as err:
            if err.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            response = inference_pb2.ServerMetadataResponse()
        known = offload_parameters.wire_forms_in(response.extensions)
        self._form = best_form(self._manifest, forms.encodable() & known)
        self._asked = True
        return _Bytes(
            up=message.ByteSize() + FRAMING_BYTES_UP,
            down=response.ByteSize() + FRAMING_BYTES_DOWN,
        )

    def _request(self, request: OffloadRequest) -> inference_pb2.ModelInferRequest:
        try:
            return infer_request(request, self._form, self._model, device_id=self._device_id)
        except WireError:  # the form cannot represent this input
            plain = plain_form(request.window.shape)
            return infer_request(request, plain, self._model, device_id=self._device_id)

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
        retry_ms = _retry_ms(err)
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_ms is not None:
            return OverloadedError(f"{target} is overloaded: {err.details()}", retry_ms)
        self._forget_server()  # it may have been replaced by one that takes other forms
        if code is grpc.StatusCode.NOT_FOUND:  # the teacher of a newer release may answer as well
            self._model = self._model._replace(version="")
        return BadAnswerError(f"{target} refused the input ({code.name}): {err.details()}")

    def _forget_server(self) -> None:
        self._asked = False
        self._model = ModelVersion(self._manifest.cloud.name, teacher_version(self._manifest))
        self._form = best_form(self._manifest, forms.encodable())

    def _hang_up(self) -> None:
        self._channel.drop()
        self._forget_server()
        self._misses = 0

    def close(self) -> None:
        self._channel.drop()


def _retry_ms(err: grpc.RpcError) -> int | None:
    """Return the time after which a server wants to be asked again, or None if it names none."""
    for entry in err.trailing_metadata() or ():
        if entry.key == offload_parameters.RETRY_AFTER_MS and str(entry.value).isdecimal():
            return int(entry.value)
    return None


class _Bytes(NamedTuple):
    """Bytes on the link."""

    up: int
    down: int


_NOTHING = _Bytes(up=0, down=0)


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
        message.parameters[offload_parameters.DEVICE_ANSWER].int64_param = request.device_answer
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
