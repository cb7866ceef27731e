"""The telemetry store: every receipt once, with the sums that the console shows.

What a device sends again is counted and not stored. A receipt that makes no sense is not stored
either: it is counted as rejected, and its sequence becomes a gap with the reason "rejected", so
that the device hears that it is settled and its outbox moves on to the receipts behind it.

A store that was wiped, or put back to an older copy, meets outboxes that have let go of what it
acknowledged before. That can never come again: it becomes a gap with the reason "forgotten".
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

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
from nestling_cloud.store.copied_outboxes import Delivery
from nestling_cloud.store.damaged_rows import DamagedRows
from nestling_cloud.store.database import RECEIPTS_FILE, Database, state_store_url, store_url
from nestling_cloud.store.ledger import Ledger
from nestling_cloud.store.outboxes import Key
from nestling_cloud.store.receipt_row import ReceiptError, ReceiptRow
from nestling_cloud.store.retention import Retention
from nestling_cloud.store.watermark import Gap
from nestling_core.clock import unix_ms

__all__ = [
    "RECEIPTS_FILE",
    "CommitResult",
    "Delivery",
    "Store",
    "StoreError",
    "check_batch",
    "state_store_url",
    "store_url",
]

_LONGEST_OUTBOX_ID = 64


class StoreError(CloudError):
    """A store that cannot be opened."""


@dataclass(frozen=True, kw_only=True)
class CommitResult:
    """What a commit brought.

    Attributes:
        new: receipts that were not there before.
        contiguous: how far each outbox that delivered something is settled.
        chains: of what is stored of each up to there.
    """

    new: int
    contiguous: Mapping[Key, int]
    chains: Mapping[Key, int]

    def acknowledgements(self) -> Iterator[tuple[str, receipt_pb2.OutboxAcknowledgement]]:
        """Go through what to tell which device."""
        for (device, outbox_id), sequence in self.contiguous.items():
            yield (
                device,
                receipt_pb2.OutboxAcknowledgement(
                    outbox_id=outbox_id, sequence=sequence, chain=self.chains[device, outbox_id]
                ),
            )


class Store:
    """Receipts of all devices. May be used from several threads.

    Attributes:
        retention: how long what is kept.
        damage: rows that were met and cannot be read.

    Args:
        url: database URL, for example "sqlite:////var/lib/nestling/receipts.sqlite".
        kept: how long what is kept.

    Raises:
        StoreError: the database cannot be opened, its tables cannot be made, or they are of
            another version.
    """

    def __init__(self, url: str, *, kept: Retention | None = None) -> None:
        self.retention = kept or Retention()
        self.damage = DamagedRows()
        try:
            with contextlib.ExitStack() as undo:
                self._database = Database(url)
                undo.callback(self._database.close)
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection, after the commit that may be under way."""
        self._database.close()

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """One transaction that changes something, alone; it commits at the end of the block."""
        return self._database.writing()

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """One transaction that only reads, beside others."""
        return self._database.reading()

    def add(self, device: str, batch: receipt_pb2.ReceiptBatch) -> int:
        """Store a batch; once this returns, a power cut cannot undo it.

        Returns:
            How many of its receipts are new.

        Raises:
            ReceiptError: the batch has no usable outbox id.
        """
        return self.add_all([Delivery(device=device, batch=batch)]).new

    def add_all(
        self, deliveries: Sequence[Delivery], reports: Sequence[device_registry.Report] = ()
    ) -> CommitResult:
        """Store several batches, and what devices said of themselves, in one transaction."""
        for delivery in deliveries:
            check_batch(delivery.batch)
        now_ms = unix_ms()
        with self.writing() as connection:
            ledgers = outboxes.load(connection, {delivery.key for delivery in deliveries})
            copied_outboxes.place(connection, ledgers, deliveries, now_ms=now_ms)
            rows, gaps = _take(deliveries, ledgers)
            newest_receipts.add(connection, rows)
            outboxes.add_gaps(connection, gaps)
            outboxes.save(connection, ledgers.values())
            rollups.add(connection, rows, self.retention, now_ms=now_ms)
            device_registry.write(connection, [*reports, *_seen(deliveries, rows, now_ms)])
            retention.trim(connection, self.retention, new=len(rows), now_ms=now_ms)
        contiguous = {key: ledger.contiguous for key, ledger in ledgers.items()}
        chains = {key: ledger.chain for key, ledger in ledgers.items()}
        return CommitResult(new=len(rows), contiguous=contiguous, chains=chains)

    def contiguous(self, device: str, outbox_id: str) -> int:
        """Highest sequence N such that 1 to N are all settled: stored, or in a gap."""
        return self._number(
            sa.select(tables.OUTBOXES.c.contiguous).where(
                tables.OUTBOXES.c.device == device, tables.OUTBOXES.c.outbox_id == outbox_id
            )
        )

    def receipts(self, device: str | None = None) -> Iterator[ReceiptRow]:
        """Go through the receipts of one device or of all, by device, outbox and sequence."""
        columns = tables.RECEIPTS.c
        query = newest_receipts.rows().order_by(columns.device, columns.outbox_id, columns.sequence)
        if device is not None:
            query = query.where(columns.device == device)
        with self.reading() as connection:
            found = connection.execution_options(yield_per=1000).execute(query)
            yield from newest_receipts.receipts(found, self.damage)

    def count(self) -> int:
        """Receipts that were ever stored, those included that have left the ring since."""
        return self._number(sa.select(sa.func.sum(tables.DEVICES.c.answers)))

    def redelivered(self) -> int:
        """Receipts that came again after they were stored."""
        return self._number(sa.select(sa.func.sum(tables.OUTBOXES.c.redelivered)))

    def rejected(self) -> int:
        """Receipts that made no sense."""
        return self._number(sa.select(sa.func.sum(tables.OUTBOXES.c.rejected)))

    def dropped(self) -> int:
        """Receipts that devices reported as dropped from a full outbox."""
        return self._in_gaps(tables.DROPPED)

    def forgotten(self) -> int:
        """Receipts that were acknowledged once and are not here: the store was wiped or reset."""
        return self._in_gaps(tables.FORGOTTEN)

    def unreadable(self) -> int:
        """Receipts that devices could not read any more, because the row was damaged."""
        return self._in_gaps(tables.UNREADABLE)

    def _in_gaps(self, reason: str) -> int:
        total = sa.select(sa.func.sum(tables.GAP_LENGTH))
        return self._number(total.where(tables.GAPS.c.reason == reason))

    def _number(self, query: sa.Select[Any]) -> int:
        with self.reading() as connection:
            return int(connection.execute(query).scalar() or 0)


def check_batch(batch: receipt_pb2.ReceiptBatch) -> None:
    """Raise ReceiptError unless outboxes can be told from others by a batch's ids."""
    _check_outbox_id(batch.outbox_id)
    if batch.previous_outbox_id:
        _check_outbox_id(batch.previous_outbox_id)


def _check_outbox_id(outbox_id: str) -> None:
    if not 1 <= len(outbox_id) <= _LONGEST_OUTBOX_ID or "\0" in outbox_id:
        raise ReceiptError(
            f"outbox id of {len(outbox_id)} characters; 1 to 64 are allowed, and no NUL"
        )


def _take(
    deliveries: Sequence[Delivery], ledgers: Mapping[Key, Ledger]
) -> tuple[list[ReceiptRow], list[tuple[Key, Gap, str]]]:
    rows: list[ReceiptRow] = []
    gaps: list[tuple[Key, Gap, str]] = []
    for delivery in deliveries:
        taken = ledgers[delivery.key].take(delivery.batch)
        rows.extend(taken.rows)
        gaps.extend((delivery.key, gap, reason) for gap, reason in taken.gaps)
    return rows, gaps


def _seen(
    deliveries: Sequence[Delivery], rows: Sequence[ReceiptRow], now_ms: int
) -> Iterator[device_registry.Report]:
    answers = Counter(row.device for row in rows)
    answered_ms: dict[str, int] = {}
    for row in rows:
        # One whose clock is ahead has answered by now at the latest.
        at_ms = min(row.answered_at_ms, now_ms)
        answered_ms[row.device] = max(at_ms, answered_ms.get(row.device, 0))
    for device in {delivery.device for delivery in deliveries}:
        yield device_registry.Report(
            device=device,
            seen_ms=now_ms,
            answers=answers[device],
            answered_ms=answered_ms.get(device, 0),
        )
