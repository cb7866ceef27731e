"""What happened in every federated round, kept in the receipt store's database.

Imports neither flwr nor torch: the console shows rounds where neither is installed.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from nestling_cloud.errors import CloudError
from nestling_cloud.store.database import Database
from nestling_core.parsing.untrusted import parse_json

METADATA = sa.MetaData()
ROUNDS = sa.Table(
    "federated_rounds",
    METADATA,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("started_ms", sa.BigInteger, nullable=False),
    sa.Column("ended_ms", sa.BigInteger, nullable=False),
    sa.Column("bundle_version", sa.String(200), nullable=False),
    sa.Column("participants", sa.JSON, nullable=False),
    sa.Column("dropped", sa.JSON, nullable=False),
    sa.Column("bytes_down", sa.BigInteger, nullable=False),
    sa.Column("bytes_up", sa.BigInteger, nullable=False),
    sa.Column("accuracy", sa.JSON, nullable=False),
    sa.Column("averaged", sa.Boolean, nullable=False),
    sa.Column("released", sa.String(200)),
    sa.Column("verdict", sa.Text, nullable=False),
)

# As text, so that one that is damaged is told from the others.
_JSON = ("participants", "dropped", "accuracy")
_COLUMNS = [
    sa.cast(column, sa.Text).label(column.name) if column.name in _JSON else column
    for column in ROUNDS.c
]
_LOG = logging.getLogger(__name__)


class RoundsError(CloudError):
    """A table of rounds that cannot be opened."""


@dataclass(frozen=True, kw_only=True)
class Participant:
    """A client whose update counted.

    Attributes:
        device: its name for itself.
        node: Flower's number for it, as text: it is too large for JSON's numbers.
        capacity: the largest that it trained.
        examples: that it trained on.
        held_out: that it judged by.
        accuracy_before: on those, of the model that it was sent.
        accuracy_after: on those, of what it made of it.
    """

    device: str
    node: str
    capacity: int
    examples: int
    held_out: int
    accuracy_before: float
    accuracy_after: float


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A client that was left out of a round, and why."""

    device: str
    node: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round.

    Attributes:
        run: which run of rounds it belongs to.
        number: from 1.
        started_ms: Unix time.
        ended_ms: likewise.
        bundle_version: that the run began with.
        participants: whose updates counted.
        dropped: who was left out.
        bytes_down: arrays sent to clients.
        bytes_up: arrays that came back.
        accuracy: of each capacity on the cloud's calibration data, after the round.
        averaged: whether the model changed; too few clients leave it as it was.
        released: version of the bundle that the run ended with, in its last round.
        verdict: in the run's last round, why it was released, or why not.
    """

    run: str
    number: int
    started_ms: int
    ended_ms: int
    bundle_version: str
    participants: tuple[Participant, ...]
    dropped: tuple[Dropped, ...]
    bytes_down: int
    bytes_up: int
    accuracy: tuple[float, ...]
    averaged: bool
    released: str | None = None
    verdict: str = ""


class RoundLog:
    """The table of rounds. May be used from several threads and processes.

    Args:
        url: database URL, the receipt store's.

    Raises:
        RoundsError: the database cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self._told: set[str] = set()  # which rounds are damaged
        try:
            self._database = Database(url)
            METADATA.create_all(self._database.engine)
        except (sa.exc.SQLAlchemyError, ImportError) as err:
            raise RoundsError(
                f"cannot open the table of rounds in {url}: {err}; name the database that "
                "`nestling-cloud serve` stores receipts in"
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
        """Close every connection."""
        self._database.close()

    def put(self, entry: Round) -> None:
        """Keep a round that ended, in place of what was known of it before."""
        columns = ROUNDS.c
        known = sa.delete(ROUNDS).where(columns.run == entry.run, columns.number == entry.number)
        with self._database.writing() as connection:
            connection.execute(known)
            connection.execute(sa.insert(ROUNDS).values(**dataclasses.asdict(entry)))

    def rounds(self, limit: int = 100, run: str | None = None) -> list[Round]:
        """Latest rounds, newest first; of one run, or of all; without rows that make no sense."""
        columns = ROUNDS.c
        query = sa.select(*_COLUMNS).order_by(columns.started_ms.desc(), columns.number.desc())
        if run is not None:
            query = query.where(columns.run == run)
        with self._database.reading() as connection:
            rows = list(connection.execute(query.limit(limit)).mappings())
        return [found for found in map(self._round_or_none, rows) if found is not None]

    def count(self) -> int:
        """Rounds of all runs."""
        with self._database.reading() as connection:
            return int(
                connection.execute(sa.select(sa.func.count()).select_from(ROUNDS)).scalar_one()
            )

    def _round_or_none(self, row: Mapping[str, Any] | sa.RowMapping) -> Round | None:
        """Read a row; one that is damaged must not take the others and the console with it."""
        try:
            return _round(row)
        except (ValueError, TypeError) as err:
            name = f"round {row['number']} of {row['run']}"
            if name not in self._told:  # a console asks every few seconds
                self._told.add(name)
                _LOG.warning("%s cannot be read: %s", name, err)
            return None


def _round(row: Mapping[str, Any] | sa.RowMapping) -> Round:
    lists = {name: parse_json(row[name]) for name in _JSON}
    parts: dict[str, Sequence[Any]] = {
        "participants": tuple(Participant(**one) for one in lists["participants"]),
        "dropped": tuple(Dropped(**one) for one in lists["dropped"]),
        "accuracy": tuple(float(one) for one in lists["accuracy"]),
    }
    found = Round(**{**row, **parts})
    if not all(isinstance(number, int) for number in (found.started_ms, found.ended_ms)):
        raise TypeError("its times are no numbers")
    return found
