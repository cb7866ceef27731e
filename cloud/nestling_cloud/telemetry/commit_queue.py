"""Queues the telemetry of the devices, and commits it to the store many messages at a time."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from nestling_cloud.store import device_registry
from nestling_cloud.store.database import cause_of
from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.store import CommitResult, Store

# A commit has a fixed cost however much it holds, so wait this long to collect more deliveries.
_GATHER_S = 0.1
_MAX_DELIVERIES_A_COMMIT = 1000
_MAX_RECEIPTS_A_COMMIT = 20_000
# Deliveries in the queue; when it is full, the reader waits.
_MAX_WAITING = 4000
_STORE_RETRY_S = 1.0

_LOG = logging.getLogger(__name__)


class CommitQueue:
    """Queues device reports and deliveries of receipts, and commits them together.

    Attributes:
        fault: the reason why the last commit failed; "" if it succeeded.

    Args:
        store: the store for receipts and device reports.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: asyncio.Queue[Delivery] = asyncio.Queue(_MAX_WAITING)
        self._reports: dict[str, device_registry.Report] = {}  # not written yet
        self._new_work = asyncio.Event()
        self._storing: asyncio.Task[CommitResult | None] | None = None  # the last commit
        self.fault = ""

    def report(self, report: device_registry.Report) -> None:
        """Queue a report, joined with the waiting report of the same device if there is one.

        Args:
            report: the report of a device.
        """
        self._reports[report.device] = device_registry.join(
            self._reports.get(report.device), report
        )
        self._new_work.set()

    async def put(self, delivery: Delivery) -> None:
        """Queue a delivery, and wait while the queue is full.

        Args:
            delivery: the receipts that a device sent.
        """
        await self._waiting.put(delivery)
        self._new_work.set()

    async def end_all(self) -> list[str]:
        """Mark all devices offline, once any commit in progress has ended.

        Returns:
            The ids of the devices that were online.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the store cannot be written.
        """
        if self._storing is not None:  # it may still mark devices online
            await asyncio.wait([self._storing])
        self._reports = {
            device: replace(report, online=False) for device, report in self._reports.items()
        }
        return await asyncio.to_thread(self._end_all)

    def _end_all(self) -> list[str]:
        with self._store.writing() as connection:
            return device_registry.end_all(connection)

    async def commit(self) -> CommitResult:
        """Wait for telemetry, and commit what is waiting.

        If a commit fails, the method tries again. It keeps the reports and drops the deliveries,
        which the devices repeat.

        Returns:
            The result of the first commit that succeeds.
        """
        while True:
            await self._new_work.wait()
            if self._waiting.qsize() < _MAX_DELIVERIES_A_COMMIT:
                await asyncio.sleep(_GATHER_S)
            self._new_work.clear()
            deliveries = self._gather()
            if not self._waiting.empty():
                self._new_work.set()
            # The commit runs in a thread and ends even if the connection breaks.
            self._storing = asyncio.create_task(self._add_all(deliveries), name="telemetry-commit")
            added = await asyncio.shield(self._storing)
            if added is not None:
                return added
            await asyncio.sleep(_STORE_RETRY_S)

    def _gather(self) -> list[Delivery]:
        deliveries: list[Delivery] = []
        receipts = 0
        while (
            not self._waiting.empty()
            and len(deliveries) < _MAX_DELIVERIES_A_COMMIT
            and receipts < _MAX_RECEIPTS_A_COMMIT
        ):
            deliveries.append(self._waiting.get_nowait())
            receipts += len(deliveries[-1].batch.receipts)
        return deliveries

    async def _add_all(self, deliveries: Sequence[Delivery]) -> CommitResult | None:
        """Store batches and the waiting reports.

        If they cannot be stored, the result is None, and the reports wait for the next commit.
        """
        reports, self._reports = self._reports, {}
        try:
            added = await asyncio.to_thread(self._store.add_all, deliveries, list(reports.values()))
        except sa.exc.SQLAlchemyError as err:
            # Nothing is acknowledged, so the devices keep the receipts and send them again.
            fault = str(cause_of(err))
            if fault != self.fault:  # log a lasting fault once, not with every retry
                _LOG.warning(
                    "could not store %d batches; the devices will repeat them: %s",
                    len(deliveries),
                    fault,
                )
            self.fault = fault
            for device, later in self._reports.items():
                reports[device] = device_registry.join(reports.get(device), later)
            self._reports = reports
            self._new_work.set()
            return None
        self.fault = ""
        return added
