"""Stores every receipt once, together with the sums that the console shows.

A repeated receipt is counted but not stored. An invalid receipt is counted as rejected, and its
sequence becomes a gap with the reason "rejected". The gap is acknowledged, so that the device's
outbox moves on to the next receipts.

A store that was wiped or restored from an older copy lacks receipts that it had acknowledged. Their
devices have deleted them and cannot send them again, so they become a gap with the reason
"forgotten".
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nestling.v1 import receipt_pb2
from nestling_cloud.errors import CloudError
from nestling_cloud.store import (
    copied_outboxes,
    device_registry,
    newest_receipts,
    outboxes,
    retention,
    rollups,
    schema,
    tables,
)
from nestling_cloud.store.damaged_rows import DamagedRows
from nestling_cloud.store.database import RECEIPTS_FILE, Database, state_store_url, store_url
from nestling_cloud.store.deduplication import Ledger
from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.outboxes import Key
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.store.retention import Retention
from nestling_cloud.store.watermark import Gap
from nestling_core.clock import unix_ms
from nestling_core.closing import Closing

__all__ = [
    "RECEIPTS_FILE",
    "CommitResult",
    "Store",
    "StoreError",
    "state_store_url",
    "store_url",
]


class StoreError(CloudError):
    """Raised when the receipt store cannot be opened."""


@dataclass(frozen=True, kw_only=True)
class CommitResult:
    """The result of a commit of batches.

    Attributes:
        new: the number of receipts that were stored for the first time.
        contiguous: for each outbox with a batch in the commit, the largest N such that every
            sequence from 1 to N is stored or in a gap. The keys are pairs of ids (device, outbox).
        chains: the chain (a hash over the receipts) up to that N, by the same keys.
    """

    new: int
    contiguous: Mapping[Key, int]
    chains: Mapping[Key, int]

    def acknowledgements(self) -> Iterator[tuple[str, receipt_pb2.OutboxAcknowledgement]]:
        """Yield, for each outbox, the id of its device and the acknowledgement to send to it."""
        for (device, outbox_id), sequence in self.contiguous.items():
            yield (
                device,
                receipt_pb2.OutboxAcknowledgement(
                    outbox_id=outbox_id, sequence=sequence, chain=self.chains[device, outbox_id]
                ),
            )


class Store(Closing):
    """Stores and returns the receipts of all devices.

    Several threads may use one store at once.

    Attributes:
        retention: the amount of data that the store keeps.
        damage: the counter of damaged rows that were read.
        reading: the method `Database.reading`, which opens a transaction for reading.
        writing: the method `Database.writing`, which opens a transaction for writing.
        rewrite: the method `Database.rewrite`, which clears the remains of deleted rows.

    Args:
        url: the database URL, for example "sqlite:////var/lib/nestling/receipts.sqlite".
        retention: the amount of data to keep; None for the defaults of `Retention`.

    Raises:
        StoreError: the database cannot be opened, or its tables cannot be created, are damaged or
            have an unsupported version.
    """

    def __init__(self, url: str, *, retention: Retention | None = None) -> None:
        self.retention = retention or Retention()
        self.damage = DamagedRows()
        try:
            with contextlib.ExitStack() as undo:
                self._database = Database(url)
                undo.callback(self._database.close)
                self.reading, self.writing = self._database.reading, self._database.writing
                self.rewrite = self._database.rewrite
                self._prepare()
                self._database.keep_open()
                undo.pop_all()
        except (sa.exc.SQLAlchemyError, ImportError, schema.SchemaError) as err:
            raise StoreError(
                f"cannot open the receipt store {url}: {err}; "
                "name a file in a folder that you may write to, or a database URL"
            ) from err

    def _prepare(self) -> None:
        with self.reading() as connection:
            current = schema.is_current(connection)
        if not current:
            with self.writing() as connection:
                schema.prepare(connection)

    def close(self) -> None:
        """Wait for a commit in progress, then close every connection."""
        self._database.close()

    def add_all(
        self, deliveries: Sequence[Delivery], reports: Sequence[device_registry.Report] = ()
    ) -> CommitResult:
        """Store several batches and device reports in one transaction.

        The transaction also updates the rollups, and deletes some of the rows that the store no
        longer has to keep.

        Args:
            deliveries: the batches in order of arrival.
            reports: the device reports in order of arrival.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the transaction failed, so nothing was stored.
        """
        now_ms = unix_ms()
        with self.writing() as connection:
            ledgers = outboxes.load(connection, {delivery.key for delivery in deliveries})
            copied_outboxes.assign_branches(connection, ledgers, deliveries, now_ms=now_ms)
            rows, gaps = _enter(deliveries, ledgers)
            newest_receipts.add(connection, rows)
            outboxes.add_gaps(connection, gaps)
            outboxes.save(connection, ledgers.values())
            rollups.add(connection, rows, self.retention, now_ms=now_ms)
            device_registry.write(connection, [*reports, *_reports(deliveries, rows, now_ms)])
            retention.trim(connection, self.retention, new=len(rows), now_ms=now_ms)
        contiguous = {key: ledger.contiguous for key, ledger in ledgers.items()}
        chains = {key: ledger.chain for key, ledger in ledgers.items()}
        return CommitResult(new=len(rows), contiguous=contiguous, chains=chains)

    def receipts(self, device: str | None = None) -> Iterator[ReceiptRow]:
        """Yield receipts in order of device, outbox and sequence.

        Damaged rows are counted and skipped. A transaction stays open until the last receipt has
        been read.

        Args:
            device: the id of the device whose receipts to yield; None for all devices.
        """
        columns = tables.RECEIPTS.c
        query = newest_receipts.rows().order_by(columns.device, columns.outbox_id, columns.sequence)
        if device is not None:
            query = query.where(columns.device == device)
        with self.reading() as connection:
            found = connection.execution_options(yield_per=1000).execute(query)
            yield from newest_receipts.receipts(found, self.damage)


def _enter(
    deliveries: Sequence[Delivery], ledgers: Mapping[Key, Ledger]
) -> tuple[list[ReceiptRow], list[tuple[Key, Gap, str]]]:
    rows: list[ReceiptRow] = []
    gaps: list[tuple[Key, Gap, str]] = []
    for delivery in deliveries:
        effect = ledgers[delivery.key].take(delivery.batch)
        rows.extend(effect.rows)
        gaps.extend((delivery.key, gap, reason) for gap, reason in effect.gaps)
    return rows, gaps


def _reports(
    deliveries: Sequence[Delivery], rows: Sequence[ReceiptRow], now_ms: int
) -> Iterator[device_registry.Report]:
    given = [row for row in rows if row.follows is None]
    answers = Counter(row.device for row in given)
    answered_ms: dict[str, int] = {}
    for row in given:
        # A device's clock may be ahead of ours; no answer is later than now.
        at_ms = min(row.answered_at_ms, now_ms)
        answered_ms[row.device] = max(at_ms, answered_ms.get(row.device, 0))
    for device in {delivery.device for delivery in deliveries}:
        yield device_registry.Report(
            device=device,
            seen_ms=now_ms,
            answers=answers[device],
            answered_ms=answered_ms.get(device, 0),
        )
