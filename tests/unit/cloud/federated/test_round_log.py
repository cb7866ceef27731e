import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling_cloud.federated.round_log import (
    Exclusion,
    Participant,
    Round,
    RoundLog,
    RoundsError,
)
from nestling_cloud.store.store import Store, store_url
from tests.support.stored import count_receipts

ONE = Round(
    run="spring",
    number=1,
    started_ms=1_700_000_000_000,
    ended_ms=1_700_000_004_000,
    bundle_version="tiny-1-0123abcd",
    participants=(
        Participant(
            device="porch",
            node="17430537933055550124",  # too large for a column of integers
            capacity=2,
            examples=50,
            held_out=10,
            accuracy_before=0.5,
            accuracy_after=0.75,
        ),
    ),
    dropped=(Exclusion(device="attic", node="3", reason="no reply in time"),),
    bytes_down=1000,
    bytes_up=900,
    accuracy=(0.7, 0.8),
    averaged=True,
)
TWO = dataclasses.replace(ONE, number=2, started_ms=ONE.started_ms + 5000)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return store_url(str(tmp_path / "receipts.sqlite"))


@pytest.fixture
def log(url: str) -> Iterator[RoundLog]:
    with RoundLog(url) as opened:
        yield opened


def test_rounds_are_returned_newest_first(log: RoundLog) -> None:
    log.put(ONE)
    log.put(TWO)

    assert log.rounds() == [TWO, ONE]
    assert log.rounds(limit=1) == [TWO]
    assert log.rounds(run="autumn") == []


def test_later_entry_replaces_an_earlier_one_of_the_same_round(log: RoundLog) -> None:
    log.put(ONE)
    settled = dataclasses.replace(ONE, released="tiny-2-4567cdef", verdict="better")

    log.put(settled)

    assert log.rounds() == [settled]


def test_rounds_share_the_receipt_database_and_persist(url: str) -> None:
    with Store(url) as store, RoundLog(url) as log:
        log.put(ONE)
        assert count_receipts(store) == 0

    with RoundLog(url) as log:
        assert log.rounds() == [ONE]


def test_unopenable_database_error_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(RoundsError, match="name the database"):
        RoundLog(store_url(str(tmp_path / "no" / "folder" / "rounds.sqlite")))


@pytest.mark.parametrize(
    "damage",
    [
        "participants = 'cut {'",
        "participants = '[{}]'",
        "participants = '7'",
        "accuracy = '[\"a\"]'",
        "accuracy = 'null'",
        "started_ms = 'once'",
    ],
)
def test_damaged_row_is_skipped_and_logged_once(
    log: RoundLog, url: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    log.put(ONE)
    log.put(TWO)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        database.execute(f"UPDATE federated_rounds SET {damage} WHERE number = 1")  # noqa: S608

    assert [log.rounds() for _ in range(3)] == [[TWO]] * 3
    assert len(caplog.records) == 1  # although the console reads the rounds repeatedly
    assert "round 1 of spring" in caplog.text
