"""Stores the latest inputs that each device sent to the cloud.

People look at them, and label them (`labeled_inputs`), so that models can be trained with them.
Labeled inputs stay until they are deleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nestling_cloud.store import tables
from nestling_cloud.store.store import Store
from nestling_core.kinds.kind import Answer
from nestling_core.parsing.untrusted_data import parse_json

NEWEST_PER_DEVICE = 200
NEWEST_IN_ALL = 20_000
_SHOWN = 20

_JSON = frozenset({"shape", "device_values", "cloud_values"})
# JSON is read as text, so that one damaged value does not fail the whole query.
COLUMNS = [
    sa.cast(column, sa.Text).label(column.name) if column.name in _JSON else column
    for column in tables.HARD_INPUTS.c
]
"""The columns of the table, for a query whose rows `answers_of` reads."""


@dataclass(frozen=True, kw_only=True)
class HardInput:
    """An input that a device offloaded, with the answers of the device and the cloud.

    Attributes:
        device: the id of the device that sent the input.
        task: the name of the task of the bundle that was released when the input arrived.
        received_at_ms: the Unix time at which the input arrived.
        input_index: the input's position in the device's source.
        values: the input's values as little-endian float32 in C order.
        shape: the shape of the values, without the batch axis.
        device_answer: what the device would have answered by itself; None if no student ran before
            the input was sent.
        cloud_answer: what the teacher answered.
        agrees: whether the device's answer counts as right if the cloud's answer is taken to be the
            truth; None if the device gave no answer.
        audited: whether the input was drawn at random for an audit, rather than sent because it
            was hard.
    """

    device: str
    task: str
    received_at_ms: int
    input_index: int
    values: bytes
    shape: tuple[int, ...]
    device_answer: Answer | None
    cloud_answer: Answer
    agrees: bool | None = None
    audited: bool = False


class HardInputs:
    """Adds offloaded inputs to the store, and reads the newest of them.

    Args:
        store: the store that holds the inputs.
        per_device: the maximum number of inputs without a label to keep for one device.
        in_all: the maximum number of inputs without a label to keep for all devices together.
    """

    def __init__(
        self,
        store: Store,
        *,
        per_device: int = NEWEST_PER_DEVICE,
        in_all: int = NEWEST_IN_ALL,
    ) -> None:
        self._store = store
        self._per_device = per_device
        self._in_all = in_all

    def add_all(self, given: Sequence[HardInput]) -> None:
        """Store several inputs, and delete the oldest inputs without a label beyond the limits.

        All inputs are stored in one transaction, which takes about as long as storing one input.

        Args:
            given: the inputs, oldest first; may be empty.
        """
        if not given:
            return
        with self._store.writing() as connection:
            connection.execute(sa.insert(tables.HARD_INPUTS), [_row(each) for each in given])
            for device in sorted({each.device for each in given}):
                _trim(connection, tables.HARD_INPUTS.c.device == device, keep=self._per_device)
            _trim(connection, sa.true(), keep=self._in_all)

    def latest(self, device: str, count: int = _SHOWN) -> list[HardInput]:
        """Return the newest inputs of a device, newest first.

        Damaged rows are counted and left out.

        Args:
            device: the device's id.
            count: the maximum number of rows to read, damaged rows included.
        """
        columns = tables.HARD_INPUTS.c
        query = (
            sa.select(*COLUMNS)
            .where(columns.device == device)
            .order_by(columns.id.desc())
            .limit(count)
        )
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        found = (self._hard_input_or_none(row) for row in rows)
        return [hard_input for hard_input in found if hard_input is not None]

    def _hard_input_or_none(self, row: "sa.Row[tuple[object, ...]]") -> HardInput | None:
        """Return the input in a row, or None if the row is damaged.

        A damaged row is counted and raises no error, so that the other rows are still read.
        """
        try:
            return _hard_input(row)
        except (ValueError, TypeError) as err:
            self._store.damage.add(tables.HARD_INPUTS.name, row.id, err)
            return None


def _trim(connection: sa.Connection, condition: sa.ColumnElement[bool], *, keep: int) -> None:
    ids = tables.HARD_INPUTS.c.id
    unlabeled = sa.and_(condition, tables.HARD_INPUTS.c.label.is_(None))
    first_beyond = (
        sa.select(ids).where(unlabeled).order_by(ids.desc()).offset(keep).limit(1).scalar_subquery()
    )
    connection.execute(sa.delete(tables.HARD_INPUTS).where(unlabeled, ids <= first_beyond))


def _row(given: HardInput) -> dict[str, object]:
    return {
        "device": given.device,
        "task": given.task,
        "received_at_ms": given.received_at_ms,
        "input_index": given.input_index,
        "audited": given.audited,
        "input_values": given.values,
        "shape": list(given.shape),
        "device_answer": None if given.device_answer is None else given.device_answer.code,
        "device_values": [] if given.device_answer is None else list(given.device_answer.values),
        "cloud_answer": given.cloud_answer.code,
        "cloud_values": list(given.cloud_answer.values),
        "agrees": given.agrees,
    }


def shape_of(text: str) -> tuple[int, ...]:
    """Parse the shape of an input, which a row holds as JSON.

    Args:
        text: the JSON text, a list of sizes.

    Raises:
        ValueError: the text is not JSON.
        TypeError: the JSON value is not a list of sizes, that is, of integers from 0.
    """
    shape = parse_json(text)
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise TypeError("its shape is not a list of sizes")
    return tuple(shape)


def answers_of(row: "sa.Row[tuple[object, ...]]") -> tuple[Answer | None, Answer]:
    """Return the answers of the device and of the cloud in a row.

    Raises:
        ValueError: the values of an answer are not JSON.
        TypeError: the values of an answer are JSON, but not a list of numbers.
    """
    device, cloud = _values(row.device_values), _values(row.cloud_values)
    return (
        None if row.device_answer is None else Answer(row.device_answer, device),
        Answer(row.cloud_answer, cloud),
    )


def agrees_of(row: "sa.Row[tuple[object, ...]]") -> bool | None:
    """Return whether the answers in a row agree, or None if the device gave no answer."""
    return None if row.agrees is None else bool(row.agrees)


def _values(text: str) -> tuple[float, ...]:
    values = parse_json(text)
    if not isinstance(values, list) or not all(type(value) in {int, float} for value in values):
        raise TypeError("the values of an answer are not a list of numbers")
    return tuple(map(float, values))


def _hard_input(row: "sa.Row[tuple[object, ...]]") -> HardInput:
    device_answer, cloud_answer = answers_of(row)
    return HardInput(
        device=row.device,
        task=row.task,
        received_at_ms=row.received_at_ms,
        input_index=row.input_index,
        values=row.input_values,
        shape=shape_of(row.shape),
        device_answer=device_answer,
        cloud_answer=cloud_answer,
        agrees=agrees_of(row),
        audited=bool(row.audited),
    )
