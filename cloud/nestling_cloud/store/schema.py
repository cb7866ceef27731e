"""The tables made, or brought up to date: forward only, within one transaction.

Version 1 had outboxes, gaps and receipts, and no number. Version 2 has the number, rollups, the
registry of devices, wishes, hard inputs, and receipts that are counted by arrival. Version 3 knows
whether a device's inputs drift. Version 4 knows receipts by their content, and outboxes of copied
state folders.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from nestling_cloud.errors import CloudError
from nestling_cloud.store import device_registry, newest_receipts, rollups, tables
from nestling_cloud.store.damaged_rows import Damage
from nestling_cloud.store.receipt_row import NO_PROVENANCE, ReceiptRow
from nestling_cloud.store.retention import Retention

VERSION = 4

_OLD_RECEIPTS = "receipts_1"
_ROWS_AT_ONCE = 5000


class SchemaError(CloudError):
    """Tables of a version that this program does not know."""


def is_current(connection: sa.Connection) -> bool:
    """Whether there is nothing to prepare."""
    return _version(connection) == VERSION


def prepare(connection: sa.Connection, kept: Retention, *, now_ms: int) -> None:
    """Make the tables, or bring older ones up to date.

    Args:
        connection: within a writing transaction, which is all or nothing.
        kept: which rollups keep what.
        now_ms: Unix time.

    Raises:
        SchemaError: a newer program has written here.
    """
    version = _version(connection)
    if version is not None and version > VERSION:
        raise SchemaError(
            f"its tables have version {version} and this nestling-cloud knows {VERSION} at most, "
            "so install the newer one again"
        )
    if version == 1:
        _rename(connection)
    if version in {1, 2, 3}:
        _add_lineage(connection)
    if version == 2:
        connection.exec_driver_sql("ALTER TABLE devices ADD COLUMN drifting BOOLEAN")
    if version in {2, 3}:
        _add_column(connection, "receipts", "fingerprint BIGINT NOT NULL DEFAULT 0")
    tables.METADATA.create_all(connection)
    tables.OUTBOX_BRANCHES.create(connection, checkfirst=True)
    if version == 1:
        _copy_receipts(connection)
        _count_highest(connection)
        _sum_up(connection, kept, now_ms)
    if version != VERSION:
        connection.execute(sa.delete(tables.SCHEMA_VERSION))
        connection.execute(sa.insert(tables.SCHEMA_VERSION).values(version=VERSION))


def _version(connection: sa.Connection) -> int | None:
    names = sa.inspect(connection).get_table_names()
    if tables.SCHEMA_VERSION.name in names:
        found = connection.execute(sa.select(tables.SCHEMA_VERSION.c.version)).scalar()
        if found is not None and not isinstance(found, int):
            raise SchemaError(f"its version is {found!r}: it is damaged, so put a copy back")
        return found
    return 1 if tables.RECEIPTS.name in names else None


def _rename(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"ALTER TABLE receipts RENAME TO {_OLD_RECEIPTS}")
    if connection.dialect.name == "postgresql":  # whose indexes keep their names
        connection.exec_driver_sql(
            f"ALTER TABLE {_OLD_RECEIPTS} RENAME CONSTRAINT receipts_pkey TO {_OLD_RECEIPTS}_pkey"
        )
    connection.exec_driver_sql("ALTER TABLE outboxes ADD COLUMN highest BIGINT NOT NULL DEFAULT 0")


def _add_lineage(connection: sa.Connection) -> None:
    for column in ("chain BIGINT", "seen_ms BIGINT"):
        _add_column(connection, "outboxes", f"{column} NOT NULL DEFAULT 0")
    for column in ("previous_id VARCHAR(64)", "branch VARCHAR(64)"):
        _add_column(connection, "outboxes", f"{column} NOT NULL DEFAULT ''")
    _add_column(connection, "gaps", "chain BIGINT NOT NULL DEFAULT 0")


def _add_column(connection: sa.Connection, table: str, column: str) -> None:
    connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column}")


def _copy_receipts(connection: sa.Connection) -> None:
    old = sa.Table(_OLD_RECEIPTS, sa.MetaData(), autoload_with=connection)
    added: dict[str, sa.ColumnElement[Any]] = {
        "energy_compute_provenance": _provenance(old, old.c.energy_compute_mj),
        "energy_radio_provenance": _provenance(old, old.c.energy_radio_mj),
        "offload_energy_mj": sa.literal(0.0),
        "offload_energy_provenance": sa.literal(NO_PROVENANCE),
        "offload_bytes": sa.literal(0),
        "fingerprint": sa.literal(0),
    }
    columns = {column.name: column for column in old.c} | added
    query = sa.select(*columns.values()).order_by(
        old.c.answered_at_ms, old.c.device, old.c.outbox_id, old.c.sequence
    )
    connection.execute(sa.insert(tables.RECEIPTS).from_select(list(columns), query))
    old.drop(connection)


def _provenance(old: sa.Table, energy: sa.ColumnElement[float]) -> sa.ColumnElement[str]:
    """Provenance of one source, where there was one for both."""
    return sa.case((energy > 0, old.c.energy_provenance), else_=NO_PROVENANCE)


def _count_highest(connection: sa.Connection) -> None:
    outboxes, receipts, gaps = tables.OUTBOXES.c, tables.RECEIPTS.c, tables.GAPS.c
    connection.execute(sa.update(tables.OUTBOXES).values(highest=outboxes.contiguous))
    for columns, last in ((receipts, receipts.sequence), (gaps, gaps.last_sequence)):
        highest = sa.select(sa.func.max(last)).where(
            columns.device == outboxes.device, columns.outbox_id == outboxes.outbox_id
        )
        beyond = highest.scalar_subquery()
        connection.execute(
            sa.update(tables.OUTBOXES).where(beyond > outboxes.highest).values(highest=beyond)
        )


def _sum_up(connection: sa.Connection, kept: Retention, now_ms: int) -> None:
    answers: Counter[str] = Counter()
    answered_ms: dict[str, int] = {}
    for rows in _batches(connection):
        rollups.add(connection, rows, kept, now_ms=now_ms)
        for row in rows:
            answers[row.device] += 1
            at_ms = min(row.answered_at_ms, now_ms)
            answered_ms[row.device] = max(at_ms, answered_ms.get(row.device, 0))
    reports = [
        device_registry.Report(
            device=device,
            seen_ms=answered_ms[device],
            answers=count,
            answered_ms=answered_ms[device],
        )
        for device, count in answers.items()
    ]
    device_registry.write(connection, reports)


def _batches(connection: sa.Connection) -> Iterator[list[ReceiptRow]]:
    damage, after = Damage(), 0
    while True:
        rows, last = newest_receipts.page(connection, damage, after=after, limit=_ROWS_AT_ONCE)
        if last is None:
            return
        yield rows
        after = last
