"""The receipt store: SQL tables through SQLAlchemy Core, every receipt once.

What a device sends again is counted and not stored. A receipt that makes no sense is not stored
either: it is counted as rejected, and its sequence becomes a gap with the reason "rejected", so
that the device hears that it is settled and its outbox moves on to the receipts behind it.

A store that was wiped, or put back to an older copy, meets outboxes that have let go of what it
acknowledged before. That can never come again: it becomes a gap with the reason "forgotten".
"""

import contextlib
import dataclasses
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from nestling.v1 import receipt_pb2
from nestling_cloud.errors import CloudError
from nestling_cloud.telemetry import tables
from nestling_cloud.telemetry.receipts import (
    LARGEST_INTEGER,
    ReceiptError,
    ReceiptRow,
    check_sequence,
    flatten,
)
from nestling_cloud.telemetry.watermark import Gap, advance

_LONGEST_OUTBOX_ID = 64


class StoreError(CloudError):
    """A store that cannot be opened."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Delivery:
    """A batch with the device that it came from."""

    device: str
    batch: receipt_pb2.ReceiptBatch


def store_url(text: str) -> str:
    """Make a database URL of what a user gives: a URL as it is, anything else is an SQLite file."""
    return text if "://" in text else f"sqlite:///{Path(text).absolute()}"


class Store:
    """Receipts of all devices. May be used from several threads.

    Args:
        url: database URL, for example "sqlite:////var/lib/nestling/receipts.sqlite".

    Raises:
        StoreError: the database cannot be opened or its tables cannot be made.
    """

    def __init__(self, url: str) -> None:
        self._lock = threading.Lock()  # one writer at a time: reads what it then builds on
        try:
            self._engine = sa.create_engine(url)
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _prepare_sqlite)
            tables.METADATA.create_all(self._engine)
        except (sa.exc.SQLAlchemyError, ImportError) as err:
            raise StoreError(
                f"cannot open the receipt store {url}: {err}; "
                "name a file in a folder that you may write to, or a database URL"
            ) from err

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
        with self._lock:
            self._engine.dispose()

    def add(self, device: str, batch: receipt_pb2.ReceiptBatch) -> int:
        """Store a batch; once this returns, a power cut cannot undo it.

        Returns:
            How many of its receipts are new.

        Raises:
            ReceiptError: the batch has no usable outbox id.
        """
        return self.add_all([Delivery(device=device, batch=batch)])

    def add_all(self, deliveries: Sequence[Delivery]) -> int:
        """Store several batches in one transaction; as `add`, all or none."""
        for delivery in deliveries:
            check_outbox_id(delivery.batch.outbox_id)
        with self.writing() as connection:
            return sum(_Outbox(connection, delivery).add() for delivery in deliveries)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that changes the store, alone; it commits at the end of the block."""
        with self._lock, self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One transaction that only reads, beside others."""
        with self._engine.connect() as connection:
            yield connection

    def contiguous(self, device: str, outbox_id: str) -> int:
        """Highest sequence N such that 1 to N are all settled: stored, or in a gap."""
        return self._number(
            sa.select(tables.OUTBOXES.c.contiguous).where(
                tables.OUTBOXES.c.device == device, tables.OUTBOXES.c.outbox_id == outbox_id
            )
        )

    def receipts(self, device: str | None = None) -> Iterator[ReceiptRow]:
        """Go through the receipts of one device or of all, by device, outbox and sequence."""
        key = tables.RECEIPTS.primary_key.columns
        query = sa.select(tables.RECEIPTS).order_by(*key)
        if device is not None:
            query = query.where(tables.RECEIPTS.c.device == device)
        with self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=1000).execute(query).mappings():
                yield ReceiptRow(**{**row, "success": tuple(row["success"])})

    def count(self) -> int:
        """Receipts stored."""
        return self._number(sa.select(sa.func.count()).select_from(tables.RECEIPTS))

    def redelivered(self) -> int:
        """Receipts that came again after they were stored."""
        return self._number(sa.select(sa.func.sum(tables.OUTBOXES.c.redelivered)))

    def rejected(self) -> int:
        """Receipts that made no sense."""
        return self._number(sa.select(sa.func.sum(tables.OUTBOXES.c.rejected)))

    def dropped(self) -> int:
        """Receipts that devices reported as dropped from a full outbox."""
        gaps = tables.GAPS.c
        length = gaps.last_sequence - gaps.first_sequence + 1
        return self._number(sa.select(sa.func.sum(length)).where(gaps.reason == tables.DROPPED))

    def forgotten(self) -> int:
        """Receipts that were acknowledged once and are not here: the store was wiped or reset."""
        gaps = tables.GAPS.c
        length = gaps.last_sequence - gaps.first_sequence + 1
        return self._number(sa.select(sa.func.sum(length)).where(gaps.reason == tables.FORGOTTEN))

    def _number(self, query: sa.Select[Any]) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar() or 0)


def check_outbox_id(outbox_id: str) -> None:
    """Raise ReceiptError unless an outbox can be told from others by this id."""
    if not 1 <= len(outbox_id) <= _LONGEST_OUTBOX_ID:
        raise ReceiptError(f"outbox id of {len(outbox_id)} characters; 1 to 64 are allowed")


class _Outbox:
    """One batch on its way into the tables, within a transaction."""

    def __init__(self, connection: sa.Connection, delivery: Delivery) -> None:
        self._connection = connection
        self._device = delivery.device
        self._batch = delivery.batch
        self._key = {"device": delivery.device, "outbox_id": delivery.batch.outbox_id}

    def add(self) -> int:
        sound, rejected_gaps, rejected = self._sort()
        stored = self._stored(sound)
        new = [row for sequence, row in sound.items() if sequence not in stored]
        gaps = [(gap, tables.DROPPED) for gap in _sound_gaps(self._batch.gaps)]
        gaps += [(gap, tables.REJECTED) for gap in rejected_gaps]
        known = self._known()
        gaps += [(gap, tables.FORGOTTEN) for gap in self._forgotten(known)]
        if new:
            self._connection.execute(
                sa.insert(tables.RECEIPTS), [dataclasses.asdict(row) for row in new]
            )
        self._add_gaps(gaps)
        self._advance(
            known,
            first=min([*sound, *(gap.first for gap, _ in gaps)], default=0),
            redelivered=len(self._batch.receipts) - rejected - len(new),
            rejected=rejected,
        )
        return len(new)

    def _sort(self) -> tuple[dict[int, ReceiptRow], list[Gap], int]:
        """Tell sound receipts from nonsense, and nonsense with a sequence from the rest."""
        sound: dict[int, ReceiptRow] = {}
        gaps: list[Gap] = []
        rejected = 0
        for receipt in self._batch.receipts:
            try:
                row = flatten(self._device, self._batch.outbox_id, receipt)
                sound[row.sequence] = row
            except ReceiptError:
                rejected += 1
                if 1 <= receipt.sequence <= LARGEST_INTEGER:
                    gaps.append(Gap(receipt.sequence, receipt.sequence))
        return sound, gaps, rejected

    def _stored(self, sequences: Iterable[int]) -> set[int]:
        wanted = set(sequences)
        if not wanted:
            return set()
        columns = tables.RECEIPTS.c
        query = sa.select(columns.sequence).where(
            *_of(columns, self._key), columns.sequence.between(min(wanted), max(wanted))
        )
        return wanted.intersection(self._connection.execute(query).scalars())

    def _add_gaps(self, gaps: list[tuple[Gap, str]]) -> None:
        """Keep gaps by where they begin; a merged gap replaces the shorter one that it grew of."""
        columns = tables.GAPS.c
        for gap, reason in gaps:
            place = (*_of(columns, self._key), columns.first_sequence == gap.first)
            known = self._connection.execute(
                sa.select(columns.last_sequence).where(*place)
            ).scalar()
            if known is None:
                row = {**self._key, "first_sequence": gap.first, "last_sequence": gap.last}
                self._connection.execute(sa.insert(tables.GAPS).values(**row, reason=reason))
            elif known < gap.last:
                change = {"last_sequence": gap.last, "reason": reason}
                self._connection.execute(sa.update(tables.GAPS).where(*place).values(**change))

    def _known(self) -> dict[str, Any] | None:
        here = _of(tables.OUTBOXES.c, self._key)
        row = self._connection.execute(sa.select(tables.OUTBOXES).where(*here)).mappings().first()
        return dict(row) if row else None

    def _forgotten(self, known: dict[str, Any] | None) -> Iterator[Gap]:
        """Yield what this outbox let go of on an acknowledgement that we know nothing of."""
        here = known["contiguous"] if known else 0
        if here < self._batch.acknowledged_sequence <= LARGEST_INTEGER:
            yield Gap(here + 1, self._batch.acknowledged_sequence)

    def _advance(
        self, known: dict[str, Any] | None, *, first: int, redelivered: int, rejected: int
    ) -> None:
        here = _of(tables.OUTBOXES.c, self._key)
        old = known or {"contiguous": 0, "redelivered": 0, "rejected": 0}
        change = {
            "contiguous": self._watermark(old["contiguous"], first),
            "redelivered": old["redelivered"] + redelivered,
            "rejected": old["rejected"] + rejected,
        }
        if known:
            self._connection.execute(sa.update(tables.OUTBOXES).where(*here).values(**change))
        else:
            self._connection.execute(sa.insert(tables.OUTBOXES).values(**self._key, **change))

    def _watermark(self, old: int, first: int) -> int:
        if not 0 < first <= old + 1:  # the hole at old + 1 is still open
            return old
        receipts, gaps = tables.RECEIPTS.c, tables.GAPS.c
        beyond = (
            sa.select(receipts.sequence)
            .where(*_of(receipts, self._key), receipts.sequence > old)
            .order_by(receipts.sequence)
        )
        holes = (
            sa.select(gaps.first_sequence, gaps.last_sequence)
            .where(*_of(gaps, self._key), gaps.last_sequence > old)
            .order_by(gaps.first_sequence)
        )
        found = [Gap(*row) for row in self._connection.execute(holes)]
        return advance(old, self._connection.execute(beyond).scalars(), found)


def _of(columns: Any, key: dict[str, str]) -> tuple[sa.ColumnElement[bool], ...]:
    return (columns.device == key["device"], columns.outbox_id == key["outbox_id"])


def _sound_gaps(gaps: Iterable[receipt_pb2.Gap]) -> Iterator[Gap]:
    for gap in gaps:
        try:
            first, last = check_sequence(gap.first_sequence), check_sequence(gap.last_sequence)
        except ReceiptError:
            continue
        if first <= last:
            yield Gap(first, last)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # An acknowledged receipt leaves the device: it has to survive a power cut here.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
