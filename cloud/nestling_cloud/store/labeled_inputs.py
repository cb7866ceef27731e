"""Finds, labels and deletes stored inputs, which devices had sent to the cloud.

`hard_inputs` adds them. The methods may be called from several threads and processes: a label is
written in a transaction of its own, and the last one counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nestling_cloud.store import tables
from nestling_cloud.store.hard_inputs import COLUMNS, agrees_of, answers_of, shape_of
from nestling_cloud.store.label import Label, label_from, label_text
from nestling_cloud.store.store import Store
from nestling_core.kinds.kind import Answer

_C = tables.HARD_INPUTS.c
_COLUMNS = [column for column in COLUMNS if column.name != "input_values"]
_PAGE = 200


@dataclass(frozen=True, kw_only=True)
class StoredInput:
    """A stored input without its values.

    Attributes:
        id: the number by which the input is labeled and fetched.
        device: the id of the device that sent the input.
        task: the name of the task.
        received_at_ms: the Unix time at which the input arrived.
        input_index: the input's position in the device's source.
        audited: whether the input was drawn at random for an audit, rather than sent because it was
            hard.
        shape: the shape of the values, without the batch axis.
        device_answer: what the device would have answered by itself; None if no student ran before
            the input was sent.
        cloud_answer: what the teacher answered.
        agrees: whether the device's answer is right if the cloud's is; None if it gave none.
        label: the label; None if there is none.
        labeled_by: who gave the label; None if there is none.
        labeled_at_ms: the Unix time at which the label was given; None if there is none.
    """

    id: int
    device: str
    task: str
    received_at_ms: int
    input_index: int
    audited: bool
    shape: tuple[int, ...]
    device_answer: Answer | None
    cloud_answer: Answer
    agrees: bool | None
    label: Label | None
    labeled_by: str | None
    labeled_at_ms: int | None


@dataclass(frozen=True, kw_only=True)
class InputFilter:
    """The conditions that stored inputs must meet; None for any.

    Attributes:
        device: the id of the device.
        task: the name of the task.
        labeled: whether there is a label.
        since_ms: the earliest Unix time of arrival.
        until_ms: the Unix time before which the input arrived.
    """

    device: str | None = None
    task: str | None = None
    labeled: bool | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """Yield the conditions of a query."""
        if self.device is not None:
            yield _C.device == self.device
        if self.task is not None:
            yield _C.task == self.task
        if self.labeled is not None:
            yield _C.label.is_not(None) if self.labeled else _C.label.is_(None)
        if self.since_ms is not None:
            yield _C.received_at_ms >= self.since_ms
        if self.until_ms is not None:
            yield _C.received_at_ms < self.until_ms


class LabeledInputs:
    """Finds, labels and deletes stored inputs.

    Args:
        store: the store that holds the inputs.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(
        self, chosen: InputFilter, *, limit: int, before: int | None = None
    ) -> tuple[list[StoredInput], int | None]:
        """Return one page of inputs, newest first.

        Args:
            chosen: the conditions that they must meet.
            limit: the maximum number of rows to read. Damaged rows are counted and left out.
            before: only inputs with an id below this; None for the first page.

        Returns:
            The inputs, and the id from which the next page continues; None if there is none.
        """
        query = sa.select(*_COLUMNS).where(*chosen.conditions()).order_by(_C.id.desc()).limit(limit)
        if before is not None:
            query = query.where(_C.id < before)
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        return self._sound(rows), rows[-1].id if len(rows) == limit else None

    def all(self, chosen: InputFilter) -> Iterator[StoredInput]:
        """Yield all inputs that meet the conditions, newest first, a page at a time."""
        before: int | None = None
        while True:
            found, before = self.page(chosen, limit=_PAGE, before=before)
            yield from found
            if before is None:
                return

    def find(self, number: int) -> StoredInput | None:
        """Return an input by its id, or None if there is none or its row is damaged."""
        with self._store.reading() as connection:
            return self._find(connection, number)

    def values(self, number: int) -> bytes | None:
        """Return an input's values as little-endian float32 in C order, or None without it."""
        query = sa.select(_C.input_values).where(_C.id == number)
        with self._store.reading() as connection:
            found: bytes | None = connection.execute(query).scalar()
        return found

    def confidences(self, given: Sequence[StoredInput]) -> dict[int, float]:
        """Return how certain the devices were of their own answers, from their receipts.

        Args:
            given: inputs of one device.

        Returns:
            A mapping from the ids of inputs to the probabilities. Inputs whose receipt is not
            stored, or that no student had seen, are left out.
        """
        if not given:
            return {}
        receipts, asked = tables.RECEIPTS.c, {one.input_index for one in given}
        query = sa.select(
            receipts.input_index, receipts.answered_at_ms, receipts.device_confidence
        ).where(
            receipts.device == given[0].device,
            receipts.follows.is_(None),
            receipts.device_confidence > 0,
            receipts.input_index.in_(asked),
        )
        by_index: dict[int, list[tuple[int, float]]] = {}
        with self._store.reading() as connection:
            for index, at_ms, confidence in connection.execute(query):
                by_index.setdefault(index, []).append((at_ms, confidence))
        # A source that starts over counts from 0 again: the receipt nearest in time is the one.
        return {
            one.id: _nearest(found, one.received_at_ms)
            for one in given
            if one.device_answer is not None and (found := by_index.get(one.input_index))
        }

    def label(self, number: int, label: Label, *, by: str, now_ms: int) -> StoredInput | None:
        """Label an input. The same label again changes nothing, not even who gave it.

        Args:
            number: the input's id.
            label: the checked label.
            by: who gives it.
            now_ms: the current Unix time.

        Returns:
            The input with its label, or None if there is no such input.
        """
        text = label_text(label)
        change = (
            sa.update(tables.HARD_INPUTS)
            .where(_C.id == number, sa.or_(_C.label.is_(None), _C.label != text))
            .values(label=text, labeled_by=by[:200], labeled_at_ms=now_ms)
        )
        with self._store.writing() as connection:
            connection.execute(change)
            return self._find(connection, number)

    def unlabel(self, number: int) -> StoredInput | None:
        """Remove an input's label, if it has one, and return the input; None if there is none."""
        change = sa.update(tables.HARD_INPUTS).where(_C.id == number)
        with self._store.writing() as connection:
            connection.execute(change.values(label=None, labeled_by=None, labeled_at_ms=None))
            return self._find(connection, number)

    def count(self, chosen: InputFilter) -> int:
        """Return how many inputs meet the conditions."""
        query = sa.select(sa.func.count()).select_from(tables.HARD_INPUTS)
        with self._store.reading() as connection:
            return int(connection.execute(query.where(*chosen.conditions())).scalar() or 0)

    def delete(self, chosen: InputFilter) -> int:
        """Delete inputs with their labels, and return how many there were.

        Their remains stay in the database's file until `erase_remains` is called.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database is in use for too long, or the disk is
                full. Nothing was deleted.
        """
        with self._store.writing() as connection:
            return connection.execute(
                sa.delete(tables.HARD_INPUTS).where(*chosen.conditions())
            ).rowcount

    def erase_remains(self) -> None:
        """Rewrite the database without the remains of deleted inputs.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database is in use for too long, or the disk is
                full.
        """
        self._store.rewrite([tables.HARD_INPUTS.name])

    def _find(self, connection: sa.Connection, number: int) -> StoredInput | None:
        rows = connection.execute(sa.select(*_COLUMNS).where(_C.id == number)).all()
        return next(iter(self._sound(rows)), None)

    def _sound(self, rows: Sequence["sa.Row[tuple[object, ...]]"]) -> list[StoredInput]:
        found = []
        for row in rows:
            try:
                found.append(_stored(row))
            except (ValueError, TypeError) as err:
                self._store.damage.add(tables.HARD_INPUTS.name, row.id, err)
        return found


def _nearest(confidences: Sequence[tuple[int, float]], at_ms: int) -> float:
    return min(confidences, key=lambda each: abs(each[0] - at_ms))[1]


def _stored(row: "sa.Row[tuple[object, ...]]") -> StoredInput:
    device_answer, cloud_answer = answers_of(row)
    return StoredInput(
        id=row.id,
        device=row.device,
        task=row.task,
        received_at_ms=row.received_at_ms,
        input_index=row.input_index,
        audited=bool(row.audited),
        shape=shape_of(row.shape),
        device_answer=device_answer,
        cloud_answer=cloud_answer,
        agrees=agrees_of(row),
        label=None if row.label is None else label_from(row.label),
        labeled_by=row.labeled_by,
        labeled_at_ms=row.labeled_at_ms,
    )
