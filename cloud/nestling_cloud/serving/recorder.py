"""Records inputs that devices send to the cloud, if the task and the operator allow it.

An input is stored with the answers of the device and the cloud. Until then, it waits in a short
queue. If the queue is full, further inputs are dropped, so that no answer is delayed.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from nestling.inference.v2.inference_pb2 import ModelInferRequest
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.serving.offered_input import OfferedInput, Rows, offered_input
from nestling_cloud.serving.storage_rule import StorageRule
from nestling_cloud.store.hard_inputs import HardInput, HardInputs
from nestling_cloud.store.store import Store
from nestling_core.clock import unix_ms

_MOST_WAITING = 256
_MOST_TOGETHER = 64

_LOG = logging.getLogger(__name__)


class HardInputRecorder:
    """Queues inputs, and stores in batches those that the rule allows.

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
        self._waiting: asyncio.Queue[OfferedInput] = asyncio.Queue(_MOST_WAITING)

    def offer(self, request: ModelInferRequest, rows: Rows, outputs: Rows) -> None:
        """Queue the input of a request, or drop it if the queue is full.

        A request for which `offered_input` returns None is ignored.

        Args:
            request: the request as received.
            rows: the request's inputs, of the shape `(N, *shape)`.
            outputs: the teacher's outputs, of the shape `(N, O)`.
        """
        found = offered_input(request, rows, outputs, now_ms=unix_ms())
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

    def _store(self, batch: Sequence[OfferedInput]) -> None:
        allowed = self._rule().hard_inputs(batch)
        if allowed:
            self._keep(allowed)


def recorder_of(
    store: Store, repository: Repository, *, per_device: int, forbidden: bool
) -> HardInputRecorder:
    """Return a recorder that stores what the released bundle allows.

    Args:
        store: the store for the inputs.
        repository: the repository with the releases; the newest decides. While it cannot be read,
            nothing is stored.
        per_device: the maximum number of inputs without a label to keep for one device.
        forbidden: whether the operator forbids storing inputs.
    """
    return HardInputRecorder(
        HardInputs(store, per_device=per_device).add_all,
        lambda: StorageRule.of(repository.manifest(), forbidden=forbidden),
    )
