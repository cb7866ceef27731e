"""Records inputs that devices send to the cloud, if the task and the operator allow it.

An input is stored with the answers of the device and the cloud. Until then, it waits in a short
queue. If the queue is full, further inputs are dropped, so that no answer is delayed.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nestling import offload_parameters, topics
from nestling.inference.v2.inference_pb2 import ModelInferRequest
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.serving.storage_rule import StorageRule
from nestling_cloud.store.hard_inputs import HardInput, HardInputs
from nestling_cloud.store.store import Store
from nestling_core.clock import unix_ms

_MOST_WAITING = 256
_MOST_TOGETHER = 64

_LOG = logging.getLogger(__name__)

Rows = NDArray[np.float32]


class HardInputRecorder:
    """Queues inputs, and stores those that the rule allows in batches.

    Args:
        keep: a function that stores a batch of inputs, ordered from oldest to newest.
        rule: a function that returns which inputs may be stored now. Both functions are called in
            a separate thread, the rule once for each batch.
    """

    def __init__(
        self, keep: Callable[[Sequence[HardInput]], None], rule: Callable[[], StorageRule]
    ) -> None:
        self._keep = keep
        self._rule = rule
        self._waiting: asyncio.Queue[HardInput] = asyncio.Queue(_MOST_WAITING)

    def offer(self, request: ModelInferRequest, rows: Rows, logits: Rows) -> None:
        """Queue the input of a request, or drop it if the queue is full.

        A request for which `hard_input` returns None is ignored.

        Args:
            request: the request as received.
            rows: the request's inputs, of the shape `(N, *shape)`.
            logits: the cloud's answers, of the shape `(N, classes)`.
        """
        found = hard_input(request, rows, logits, now_ms=unix_ms())
        if found is not None and not self._waiting.full():
            self._waiting.put_nowait(found)

    async def run(self) -> None:
        """Store queued inputs until cancelled.

        If storing a batch fails, the batch is dropped and the error is logged.
        """
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < _MOST_TOGETHER and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            try:
                await asyncio.to_thread(self._store, batch)
            except Exception as err:  # noqa: BLE001  a full disk must not end the cloud for an input
                # One line, because tracebacks would fill the disk further.
                _LOG.warning("could not store %d hard inputs: %s", len(batch), err)

    def _store(self, batch: Sequence[HardInput]) -> None:
        allowed = self._rule().allowed(batch)
        if allowed:
            self._keep(allowed)


def recorder_of(store: Store, repository: Repository, *, forbidden: bool) -> HardInputRecorder:
    """Return a recorder that stores what the released bundle allows.

    Args:
        store: the store for the inputs.
        repository: the repository with the releases; the newest decides. While it cannot be read,
            nothing is stored.
        forbidden: whether the operator forbids to store any input.
    """
    return HardInputRecorder(
        HardInputs(store).add_all,
        lambda: StorageRule.of(repository.manifest(), forbidden=forbidden),
    )


def hard_input(
    request: ModelInferRequest, rows: Rows, logits: Rows, *, now_ms: int
) -> HardInput | None:
    """Return the input of a request, with the answers to it, for a rule to allow or not.

    Args:
        request: the request as received.
        rows: the request's inputs, of the shape `(N, *shape)`.
        logits: the cloud's answers, of the shape `(N, classes)`.
        now_ms: the current Unix time.

    Returns:
        The input, still without its task, or None if the request has several inputs, names no
        valid device or no input index, or contains a device's answer that is not a class index.
    """
    given = request.parameters
    if (
        len(rows) != 1
        or offload_parameters.DEVICE_ID not in given
        or offload_parameters.INPUT_INDEX not in given
    ):
        return None
    try:
        device = topics.check_device_id(given[offload_parameters.DEVICE_ID].string_param)
    except ValueError:
        return None
    classes = logits.shape[1]
    answer = given[offload_parameters.DEVICE_ANSWER].int64_param if _names_answer(request) else None
    if answer is not None and not 0 <= answer < classes:
        return None
    return HardInput(
        device=device,
        task="",
        received_at_ms=now_ms,
        input_index=max(given[offload_parameters.INPUT_INDEX].int64_param, 0),
        values=rows[0].astype("<f4").tobytes(),
        shape=rows.shape[1:],
        device_answer=answer,
        cloud_answer=int(logits[0].argmax()),
        audited=_is_audit(request),
    )


def _is_audit(request: ModelInferRequest) -> bool:
    given = request.parameters
    return offload_parameters.AUDIT in given and given[offload_parameters.AUDIT].bool_param


def _names_answer(request: ModelInferRequest) -> bool:
    return offload_parameters.DEVICE_ANSWER in request.parameters
