"""Deletes everything that the store holds about a device or from a span of time.

For a device, that is: receipts with their follow-ups, their part of every sum, stored inputs with
their labels, the latest report, the targets and the log of their changes. For a span, it is the
same within the span, but targets stay, and so does the latest report of a device that is online.
What is left of an outbox is which of its receipts are settled, under a hash, so that a receipt that
arrives again is not counted as a new one.

Spans are whole hours, the steps of the sums that are kept forever.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from nestling_cloud.store import outboxes, rollup_deletion, tables
from nestling_cloud.store.receipt_row import LARGEST_INTEGER
from nestling_cloud.store.retention import Retention, settled
from nestling_cloud.store.rollup_deletion import HOUR_MS
from nestling_cloud.store.watermark import Gap


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What to delete.

    Attributes:
        device: the id of the only device; None for all.
        since_ms: the start of the span in Unix ms; None without a span.
        until_ms: the end of the span; None without a span.
    """

    device: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def is_span(self) -> bool:
        """Whether only a span of time is deleted."""
        return self.since_ms is not None or self.until_ms is not None

    @property
    def span(self) -> tuple[int, int]:
        """The span, widened to whole hours; everything if there is none."""
        since_ms = self.since_ms or 0
        until_ms = LARGEST_INTEGER if self.until_ms is None else self.until_ms + HOUR_MS - 1
        return since_ms - since_ms % HOUR_MS, until_ms - until_ms % HOUR_MS

    def matches(
        self, table: sa.Table, time: "sa.Column[int] | None" = None
    ) -> list[sa.ColumnElement[bool]]:
        """Return the conditions that rows of a table must meet.

        Args:
            table: a table with a column for the device.
            time: the column with the time of a row; None to look at the device alone.
        """
        found = [] if self.device is None else [table.c.device == self.device]
        if self.is_span and time is not None:
            found += [time >= self.span[0], time < self.span[1]]
        return found


@dataclass(frozen=True, kw_only=True)
class Contents:
    """How much the store holds about a device or from a span of time.

    Attributes:
        receipts: the number of receipts, follow-ups among them.
        answers: the number of answers in the sums, also of those whose receipts are gone.
        inputs: the number of stored inputs.
        labels: the number of those that have a label.
        devices: the number of devices whose latest report is deleted.
        target_changes: the number of entries in the log of targets.
        outboxes: the number of outboxes whose names are deleted.
    """

    receipts: int
    answers: int
    inputs: int
    labels: int
    devices: int
    target_changes: int
    outboxes: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not any(vars(self).values())


def contents(connection: sa.Connection, scope: Scope) -> Contents:
    """Return how much the store holds of what is to be deleted."""
    inputs, log = tables.HARD_INPUTS, tables.TARGET_LOG
    of_inputs = scope.matches(inputs, inputs.c.received_at_ms)
    return Contents(
        receipts=_count(
            connection,
            tables.RECEIPTS,
            *scope.matches(tables.RECEIPTS, tables.RECEIPTS.c.answered_at_ms),
        ),
        answers=_answers(connection, scope),
        inputs=_count(connection, inputs, *of_inputs),
        labels=_count(connection, inputs, *of_inputs, inputs.c.label.is_not(None)),
        devices=_count(connection, tables.DEVICES, *_reports(scope)),
        target_changes=_count(connection, log, *scope.matches(log, log.c.set_at_ms)),
        outboxes=0
        if scope.is_span
        else _count(connection, tables.OUTBOXES, *scope.matches(tables.OUTBOXES)),
    )


def delete(
    connection: sa.Connection, scope: Scope, retention: Retention, *, now_ms: int
) -> Contents:
    """Delete everything about a device or from a span, and return how much it was.

    Args:
        connection: a connection within a writing transaction, which makes the deletion atomic.
        scope: what to delete.
        retention: the time for which each rollup is kept.
        now_ms: the current Unix time.
    """
    found = contents(connection, scope)
    _delete_receipts(connection, scope)
    since_ms, until_ms = scope.span
    if scope.device is None:
        rollup_deletion.delete_span(connection, since_ms, until_ms)
    else:
        rollup_deletion.delete_device(
            connection, scope.device, since_ms, until_ms, retention, now_ms=now_ms
        )
    for table, time in (
        (tables.HARD_INPUTS, tables.HARD_INPUTS.c.received_at_ms),
        (tables.TARGET_LOG, tables.TARGET_LOG.c.set_at_ms),
    ):
        connection.execute(sa.delete(table).where(*scope.matches(table, time)))
    connection.execute(sa.delete(tables.DEVICES).where(*_reports(scope)))
    if scope.is_span:
        _correct_devices(connection, scope)
    elif scope.device is not None:
        connection.execute(sa.delete(tables.TARGETS).where(*scope.matches(tables.TARGETS)))
        outboxes.forget(connection, scope.device)
    return found


def _delete_receipts(connection: sa.Connection, scope: Scope) -> None:
    """Delete receipts; those whose rows still say that they arrived become gaps."""
    columns = tables.RECEIPTS.c
    chosen = scope.matches(tables.RECEIPTS, columns.answered_at_ms)
    query = sa.select(
        columns.device, columns.outbox_id, columns.sequence, columns.fingerprint
    ).where(*chosen, sa.not_(settled()))
    unsettled = [
        ((device, outbox_id), Gap(sequence, sequence, mark), tables.DELETED)
        for device, outbox_id, sequence, mark in connection.execute(query)
    ]
    outboxes.add_gaps(connection, unsettled)
    connection.execute(sa.delete(tables.RECEIPTS).where(*chosen))


def _reports(scope: Scope) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of the latest reports to delete.

    A span deletes a report that came in it, unless the device is online: then it is the present
    state of the device.
    """
    columns = tables.DEVICES.c
    found = scope.matches(tables.DEVICES, columns.last_seen_ms)
    return [*found, columns.online.is_not(sa.true())] if scope.is_span else found


def _correct_devices(connection: sa.Connection, scope: Scope) -> None:
    """Correct what is left of the devices of a span: how many answers, and the last times."""
    devices, receipts = tables.DEVICES, tables.RECEIPTS.c
    sums, (since_ms, until_ms) = tables.DEVICE_ROLLUPS[HOUR_MS].c, scope.span
    connection.execute(
        sa.update(devices)
        .where(*scope.matches(devices))
        .values(
            answers=sa.select(sa.func.coalesce(sa.func.sum(sums.answers), 0))
            .where(sums.device == devices.c.device)
            .scalar_subquery()
        )
    )
    last = sa.select(sa.func.coalesce(sa.func.max(receipts.answered_at_ms), 0)).where(
        receipts.device == devices.c.device, receipts.follows.is_(None)
    )
    connection.execute(
        sa.update(devices)
        .where(*scope.matches(devices, devices.c.last_answered_ms))
        .values(last_answered_ms=last.scalar_subquery())
    )
    seen = tables.OUTBOXES.c.seen_ms
    connection.execute(
        sa.update(tables.OUTBOXES)
        .where(*scope.matches(tables.OUTBOXES), seen >= since_ms, seen < until_ms)
        .values(seen_ms=0)
    )


def _answers(connection: sa.Connection, scope: Scope) -> int:
    table = tables.DEVICE_ROLLUPS[HOUR_MS]
    query = sa.select(sa.func.sum(table.c.answers)).where(*scope.matches(table, table.c.start_ms))
    return int(connection.execute(query).scalar() or 0)


def _count(connection: sa.Connection, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(*conditions)
    return int(connection.execute(query).scalar() or 0)
