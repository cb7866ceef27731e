"""Stores the result of every federated round in the database that also stores receipts.

This module imports neither flwr nor torch, so that the console can show rounds where these
libraries are not installed.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nestling_cloud.errors import CloudError
from nestling_cloud.store.database import Database
from nestling_core.closing import Closing
from nestling_core.parsing.untrusted_data import parse_json

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

# Read as text, so that a damaged value affects only its own row.
_JSON = ("participants", "dropped", "accuracy")
_COLUMNS = [
    sa.cast(column, sa.Text).label(column.name) if column.name in _JSON else column
    for column in ROUNDS.c
]
_LOG = logging.getLogger(__name__)


class RoundsError(CloudError):
    """Raised when the database with the table of rounds cannot be opened."""


@dataclass(frozen=True, kw_only=True)
class Participant:
    """A client whose update was used in a round.

    Attributes:
        device: the name that the client gave itself.
        node: Flower's number for the client, as text because it is too large for a JSON number.
        capacity: the largest capacity (size of the student) that the client trained.
        examples: the number of examples that the client trained on.
        held_out: the number of the client's held-out examples.
        accuracy_before: the accuracy on these held-out examples before the client's training.
        accuracy_after: the accuracy on these held-out examples after the client's training.
    """

    device: str
    node: str
    capacity: int
    examples: int
    held_out: int
    accuracy_before: float
    accuracy_after: float


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """A client that was left out of a round.

    Attributes:
        device: the name that the client gave itself, or "?" if the name is not known.
        node: Flower's number for the client, as text.
        reason: the reason why the client was left out.
    """

    device: str
    node: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Round:
    """The result of one round.

    Attributes:
        run: the name of the run that the round belongs to.
        number: the number of the round in its run, from 1.
        started_ms: the start of the round, Unix time in ms.
        ended_ms: the end of the round, Unix time in ms.
        bundle_version: the version of the bundle from which the run started.
        participants: the clients whose updates were valid.
        dropped: the clients that were left out.
        bytes_down: the size of all arrays sent to clients, in bytes.
        bytes_up: the size of all arrays received from clients, in bytes.
        accuracy: the accuracy of each capacity on the cloud's calibration data after the round,
            from 0 to 1, the smallest capacity first.
        averaged: True if the updates were averaged; False if there were too few updates.
        released: the version of the bundle that the run released. It is None if nothing was
            released, and in all rounds of a run but the last.
        verdict: the reason why the run released a bundle, or why not. It is "" in all rounds of a
            run but the last.
    """

    run: str
    number: int
    started_ms: int
    ended_ms: int
    bundle_version: str
    participants: tuple[Participant, ...]
    dropped: tuple[Exclusion, ...]
    bytes_down: int
    bytes_up: int
    accuracy: tuple[float, ...]
    averaged: bool
    released: str | None = None
    verdict: str = ""


class RoundLog(Closing):
    """The table of rounds, which several threads and processes may use at the same time.

    The table is created if the database does not have it.

    Args:
        url: the URL of the database that stores the receipts.

    Raises:
        RoundsError: the database cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self._reported: set[str] = set()  # damaged rounds that have been logged
        try:
            self._database = Database(url)
            METADATA.create_all(self._database.engine)
        except (sa.exc.SQLAlchemyError, ImportError) as err:
            raise RoundsError(
                f"cannot open the table of rounds in {url}: {err}; name the database in which "
                "nestling-cloud serve stores receipts"
            ) from err

    def close(self) -> None:
        """Close all connections to the database."""
        self._database.close()

    def put(self, entry: Round) -> None:
        """Store a finished round, replacing an earlier entry for the same round."""
        columns = ROUNDS.c
        delete = sa.delete(ROUNDS).where(columns.run == entry.run, columns.number == entry.number)
        with self._database.writing() as connection:
            connection.execute(delete)
            connection.execute(sa.insert(ROUNDS).values(**dataclasses.asdict(entry)))

    def rounds(self, limit: int = 100, run: str | None = None) -> list[Round]:
        """Return the latest rounds, the newest first.

        Rows that are damaged are left out, so fewer rounds than `limit` may be returned.

        Args:
            limit: the largest number of rounds to return.
            run: the name of the run whose rounds to return; None for all runs.
        """
        columns = ROUNDS.c
        query = sa.select(*_COLUMNS).order_by(columns.started_ms.desc(), columns.number.desc())
        if run is not None:
            query = query.where(columns.run == run)
        with self._database.reading() as connection:
            rows = list(connection.execute(query.limit(limit)).mappings())
        return [entry for entry in map(self._round_or_none, rows) if entry is not None]

    def count(self) -> int:
        """Return the number of rounds in all runs."""
        with self._database.reading() as connection:
            return int(
                connection.execute(sa.select(sa.func.count()).select_from(ROUNDS)).scalar_one()
            )

    def _round_or_none(self, row: Mapping[str, Any] | sa.RowMapping) -> Round | None:
        """Return the round that a row describes, or None if the row is damaged.

        A damaged row is logged once, and the console can still show the other rounds.
        """
        try:
            return _round(row)
        except (ValueError, TypeError) as err:
            name = f"round {row['number']} of {row['run']}"
            if name not in self._reported:  # the console reads the rounds every few seconds
                self._reported.add(name)
                _LOG.warning("%s cannot be read: %s", name, err)
            return None


def _round(row: Mapping[str, Any] | sa.RowMapping) -> Round:
    lists = {name: parse_json(row[name]) for name in _JSON}
    parts: dict[str, Sequence[Any]] = {
        "participants": tuple(Participant(**fields) for fields in lists["participants"]),
        "dropped": tuple(Exclusion(**fields) for fields in lists["dropped"]),
        "accuracy": tuple(float(share) for share in lists["accuracy"]),
    }
    entry = Round(**{**row, **parts})
    if not all(isinstance(number, int) for number in (entry.started_ms, entry.ended_ms)):
        raise TypeError("its times are not numbers")
    return entry
