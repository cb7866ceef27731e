"""Serves the teacher's answers to the inputs that devices send.

The service implements the Open Inference Protocol.
"""

import logging
import math
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NoReturn, TypeAlias

import grpc
import numpy as np
from numpy.typing import NDArray

from nestling import offload_parameters
from nestling.inference.v2 import inference_pb2 as pb
from nestling.inference.v2 import inference_pb2_grpc
from nestling_cloud.cloud_model.signature import Signature
from nestling_cloud.serving import tensors
from nestling_cloud.serving.batcher import OverloadedError
from nestling_cloud.serving.excerpt import excerpt
from nestling_cloud.serving.served_models import ServedModel, ServedModels
from nestling_core.wire import forms

# Largest request, unless a single input needs more. A window of samples takes kilobytes; anything
# larger than this is a mistake.
_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
# Allowance for everything in a request but its values.
_HEAD_BYTES = 64 * 1024

# For finite inputs so large that the network's activations overflow.
_OVERFLOW = (
    "the model has no finite answer to these values; send inputs in the units and the range that "
    "it was trained on"
)

# Gets a request, its inputs (N, *shape) and the logits (N, classes).
OnAnswer = Callable[[pb.ModelInferRequest, NDArray[np.float32], NDArray[np.float32]], None]
_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_LOG = logging.getLogger(__name__)


def max_message_bytes(signature: Signature) -> int:
    """Return the size limit of requests for a model, in bytes.

    The limit is 4 MiB, or more if a request with one input of the model would not fit.
    """
    return max(_MAX_MESSAGE_BYTES, 4 * math.prod(signature.shape) + _HEAD_BYTES)


class InferenceService(inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Serves the loaded models.

    Args:
        models: the models. The `max_batch` of a model's batcher is the largest number of inputs in
            one request.
        on_answer: a function that is called with every answered request, its inputs and the logits.
            The function runs in the event loop and must return at once. None to call no function.
    """

    def __init__(self, models: ServedModels, on_answer: OnAnswer | None = None) -> None:
        self._models = models
        self._on_answer = on_answer

    async def ServerLive(  # noqa: N802
        self, request: pb.ServerLiveRequest, context: _Context
    ) -> pb.ServerLiveResponse:
        """Report that the server is running."""
        del request, context
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(  # noqa: N802
        self, request: pb.ServerReadyRequest, context: _Context
    ) -> pb.ServerReadyResponse:
        """Report that the server is ready.

        The server starts only after its model has been loaded.
        """
        del request, context
        return pb.ServerReadyResponse(ready=True)

    async def ModelReady(  # noqa: N802
        self, request: pb.ModelReadyRequest, context: _Context
    ) -> pb.ModelReadyResponse:
        """Report whether a model is loaded."""
        del context
        found = self._models.find(request.name, request.version)
        return pb.ModelReadyResponse(ready=found is not None)

    async def ServerMetadata(  # noqa: N802
        self, request: pb.ServerMetadataRequest, context: _Context
    ) -> pb.ServerMetadataResponse:
        """Return the server's name and version, and the wire forms that it takes."""
        del request, context
        return pb.ServerMetadataResponse(
            name="nestling-cloud",
            version=version("nestling"),
            extensions=[
                "statistics",
                offload_parameters.CONTENT_VERSIONS,
                *offload_parameters.wire_form_extensions(forms.WIRE_NAMES),
            ],
        )

    async def ModelMetadata(  # noqa: N802
        self, request: pb.ModelMetadataRequest, context: _Context
    ) -> pb.ModelMetadataResponse:
        """Return the description of a model's inputs and outputs."""
        model = await self._model(request.name, request.version, context)
        versions = [
            one.version for one in self._models.all if one.signature.model == model.signature.model
        ]
        return tensors.metadata(model.signature, versions)

    async def ModelStatistics(  # noqa: N802
        self, request: pb.ModelStatisticsRequest, context: _Context
    ) -> pb.ModelStatisticsResponse:
        """Return the statistics of the models that the request names, or of all loaded models."""
        del context
        return pb.ModelStatisticsResponse(
            model_stats=[
                _statistics(model)
                for model in self._models.all
                if request.name in {"", model.signature.model}
                and request.version in {"", model.version}
            ]
        )

    async def ModelInfer(  # noqa: N802
        self, request: pb.ModelInferRequest, context: _Context
    ) -> pb.ModelInferResponse:
        """Return a model's logits for the inputs of a request.

        If there is no such model, the call ends with the status NOT_FOUND. If the inputs do not fit
        the model, or are so large that the logits are not finite, the status is INVALID_ARGUMENT.
        If the model fails, the status is INTERNAL. If the answer would come after the caller's
        deadline, or too many requests wait, the status is RESOURCE_EXHAUSTED. The trailing metadata
        then states the time, in milliseconds, after which to try again.
        """
        model = await self._model(request.model_name, request.model_version, context)
        signature, batcher = model.signature, model.batcher
        device = _device(request)
        try:
            batcher.check(device=device, timeout_s=context.time_remaining())
        except OverloadedError as err:
            await _overloaded(context, err)
        try:
            rows = tensors.decode(request, signature, max_rows=batcher.max_batch)
        except tensors.TensorError as err:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(err))
        try:
            logits = await batcher.submit(rows, device=device, timeout_s=context.time_remaining())
        except OverloadedError as err:
            await _overloaded(context, err)
        except Exception:  # noqa: BLE001  onnxruntime's errors share no base
            _LOG.exception("%s failed on %d inputs", signature.model, len(rows))
            await context.abort(grpc.StatusCode.INTERNAL, "the model failed; see the cloud's log")
        if not np.isfinite(logits).all():
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, _OVERFLOW)
        if self._on_answer is not None:
            self._on_answer(request, rows, logits)
        return tensors.encode(request, signature, model.version, logits)

    async def _model(self, name: str, version: str, context: _Context) -> ServedModel:
        """Return a model, or end the call with the status NOT_FOUND if it is not ready."""
        found = self._models.find(name, version)
        if found is None:
            ready = ", ".join(
                f"{model.signature.model!r} version {model.version!r}" for model in self._models.all
            )
            await _not_found(
                context, f"no model {excerpt(name)} version {excerpt(version)} here; ready: {ready}"
            )
        return found


def _statistics(model: ServedModel) -> pb.ModelStatistics:
    done = model.batcher.statistics
    run_ns, wait_ns = round(1e9 * done.run_s), round(1e9 * done.wait_s)
    return pb.ModelStatistics(
        name=model.signature.model,
        version=model.version,
        inference_count=done.rows,
        execution_count=done.runs,
        inference_stats=pb.InferStatistics(
            success=pb.StatisticDuration(count=done.answered, ns=wait_ns + run_ns),
            fail=pb.StatisticDuration(count=done.refused + done.late + done.failed),
            queue=pb.StatisticDuration(count=done.answered, ns=wait_ns),
            compute_infer=pb.StatisticDuration(count=done.runs, ns=run_ns),
        ),
    )


def _device(request: pb.ModelInferRequest) -> str:
    if offload_parameters.DEVICE_ID not in request.parameters:
        return ""
    return request.parameters[offload_parameters.DEVICE_ID].string_param


async def _overloaded(context: _Context, err: OverloadedError) -> NoReturn:
    retry_ms = str(math.ceil(1000 * err.retry_s))
    context.set_trailing_metadata(((offload_parameters.RETRY_AFTER_MS, retry_ms),))
    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(err))


async def _not_found(context: _Context, text: str) -> NoReturn:
    await context.abort(grpc.StatusCode.NOT_FOUND, text)
