"""Sends inputs to the cloud over gRPC, using the Open Inference Protocol."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import grpc

from nestling import offload_parameters
from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling.v1.bundle_pb2 import Manifest, WireForm
from nestling_core.kinds.of_signature import kind_of
from nestling_core.nest.bundle_files import teacher_version
from nestling_core.network.address import Address
from nestling_core.routing.admission import FRAMING_BYTES_DOWN, FRAMING_BYTES_UP
from nestling_core.wire import forms
from nestling_core.wire.choice import best_form, plain_form
from nestling_core.wire.errors import WireError
from nestling_device.inference.offload_messages import (
    ModelVersion,
    infer_request,
    read_logits,
)
from nestling_device.inference.offloader import (
    BadAnswerError,
    CloudAnswer,
    DeadlineMissedError,
    ModelGoneError,
    OffloadError,
    OffloadRequest,
    OverloadedError,
    UnreachableError,
)
from nestling_device.transport.grpc_channel import Channel, retry_ms
from nestling_device.transport.identity import Identity

# A connection whose other end vanished silently looks like a slow cloud. Reconnecting after every
# missed deadline would make a slow cloud slower; never reconnecting would wait minutes for TCP.
_MISSES_BEFORE_RECONNECT = 3
# Time after which a server that lacks the wanted form or model version is asked again.
_ASK_AGAIN_S = 600.0


class _Bytes(NamedTuple):
    """Bytes on the link."""

    up: int
    down: int


_NOTHING = _Bytes(up=0, down=0)


class GrpcOffloader:
    """Offloads inputs to any server of the Open Inference Protocol v2.

    Inputs are sent in the bundle's wire form if the server says that it takes this form, otherwise
    in another form that it takes, or as FP32, which every server takes. The server is asked before
    the first input on a connection.

    Inputs go to the bundle's own version of the cloud model, or if the server does not have it, to
    the newest one.

    The offloader reconnects after a broken connection and after three consecutive missed deadlines,
    so that the first call after an outage can succeed. It is not thread-safe.
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
        self._outputs = kind_of(manifest.signature).teacher_outputs
        self._device_id = device_id
        self._misses = 0
        self._wanted = best_form(manifest, forms.encodable())
        self._version = teacher_version(manifest)
        self._asked_s: float | None
        self._form: WireForm
        self._model: ModelVersion
        self._forget_server()

    @property
    def form(self) -> WireForm:
        """The form in which the next input is sent.

        Until the server has been asked, this is the form for a server that accepts all forms. If
        the server turns out to lack this form or the bundle's version of the model, it is asked
        again after ten minutes, because another server may have taken its place.
        """
        less = (self._form.name, self._model.version) != (self._wanted.name, self._version)
        if less and self._asked_s is not None and time.monotonic() - self._asked_s > _ASK_AGAIN_S:
            self._forget_server()
        return self._form

    def offload(self, request: OffloadRequest, *, deadline_ms: float) -> CloudAnswer:
        started = time.perf_counter()

        def left_s() -> float:
            return max(0.0, deadline_ms / 1000 - (time.perf_counter() - started))

        stub = self._channel.stub(inference_pb2_grpc.GRPCInferenceServiceStub)
        try:
            asked = self._ask(stub, left_s()) if self._asked_s is None else _NOTHING
            message = self._request(request)
            response = stub.ModelInfer(message, timeout=left_s())
        except grpc.RpcError as err:
            raise self._failure(err, deadline_ms) from err
        self._misses = 0
        return self._answer(message, response, asked, started)

    def offload_all(
        self, requests: Sequence[OffloadRequest], *, deadline_ms: float
    ) -> list[CloudAnswer | OffloadError]:
        started = time.perf_counter()
        stub = self._channel.stub(inference_pb2_grpc.GRPCInferenceServiceStub)
        try:
            asked = self._ask(stub, deadline_ms / 1000) if self._asked_s is None else _NOTHING
        except grpc.RpcError as err:
            return [self._failure(err, deadline_ms)] * len(requests)
        results = self._send(stub, requests, asked, started, deadline_ms)
        gone = [n for n, result in enumerate(results) if isinstance(result, ModelGoneError)]
        if gone:  # a newer model may answer them as well
            again = self._send(stub, [requests[n] for n in gone], _NOTHING, started, deadline_ms)
            for n, result in zip(gone, again, strict=True):
                results[n] = result
        return results

    def _send(
        self,
        stub: inference_pb2_grpc.GRPCInferenceServiceStub,
        requests: Sequence[OffloadRequest],
        asked: "_Bytes",
        started: float,
        deadline_ms: float,
    ) -> list[CloudAnswer | OffloadError]:
        """Send inputs at once, and wait for the results of all."""
        left_s = max(0.0, deadline_ms / 1000 - (time.perf_counter() - started))
        messages = [self._request(request) for request in requests]
        calls = [stub.ModelInfer.future(message, timeout=left_s) for message in messages]
        faults = [call.exception() for call in calls]  # wait for all before a call is given up
        results: list[CloudAnswer | OffloadError] = []
        errors = []
        for message, call, fault in zip(messages, calls, faults, strict=True):
            if isinstance(fault, grpc.RpcError):
                errors.append(self._error(fault, deadline_ms))
                results.append(errors[-1])
                continue
            try:
                results.append(self._answer(message, call.result(), asked, started))
            except BadAnswerError as err:
                results.append(err)
            asked = _NOTHING
        if len(errors) < len(calls):
            self._misses = 0
        self._adapt(errors)
        return results

    def _answer(
        self,
        message: inference_pb2.ModelInferRequest,
        response: inference_pb2.ModelInferResponse,
        asked: "_Bytes",
        started: float,
    ) -> CloudAnswer:
        return CloudAnswer(
            logits=read_logits(response, self._outputs),
            bytes_up=asked.up + message.ByteSize() + FRAMING_BYTES_UP,
            bytes_down=asked.down + response.ByteSize() + FRAMING_BYTES_DOWN,
            wall_ms=(time.perf_counter() - started) * 1000,
        )

    def _ask(self, stub: inference_pb2_grpc.GRPCInferenceServiceStub, timeout_s: float) -> "_Bytes":
        """Ask the server what it takes, and adapt to it; return what crossed the link."""
        if self._wanted.name == forms.FP32 and not self._version:
            self._asked_s = time.monotonic()
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
        if offload_parameters.CONTENT_VERSIONS in response.extensions:
            self._model = self._model._replace(version=self._version)
        self._asked_s = time.monotonic()
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
        error = self._error(err, deadline_ms)
        self._adapt([error])
        return error

    def _error(self, err: grpc.RpcError, deadline_ms: float) -> OffloadError:
        code, target = err.code(), self._channel.address
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineMissedError(f"{target} did not answer within {deadline_ms:g} ms")
        if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
            return UnreachableError(f"{target} cannot be reached: {err.details()}")
        wait_ms = retry_ms(err)
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and wait_ms is not None:
            return OverloadedError(f"{target} is overloaded: {err.details()}", wait_ms)
        text = f"{target} refused the input ({code.name}): {err.details()}"
        if code is grpc.StatusCode.NOT_FOUND and self._model.version:
            return ModelGoneError(text)
        return BadAnswerError(text)

    def _adapt(self, errors: Sequence[OffloadError]) -> None:
        """Adapt to what failed calls show about the server; calls at once count as one."""
        kinds = {type(error) for error in errors}
        self._misses += DeadlineMissedError in kinds
        if UnreachableError in kinds or self._misses >= _MISSES_BEFORE_RECONNECT:
            self._hang_up()
        elif ModelGoneError in kinds:
            self._model = self._model._replace(version="")  # a newer teacher may answer as well
        elif BadAnswerError in kinds:
            self._forget_server()  # it may have been replaced by one that takes other forms

    def _forget_server(self) -> None:
        self._asked_s = None
        self._model = ModelVersion(self._manifest.cloud.name, version="")
        self._form = self._wanted

    def _hang_up(self) -> None:
        self._channel.drop()
        self._forget_server()
        self._misses = 0

    def close(self) -> None:
        self._channel.drop()
