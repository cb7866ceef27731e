import io
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from nestling_cloud import cli
from nestling_cloud.federated.round_log import RoundLog
from nestling_cloud.store.store import Store, store_url
from tests.support.receipts import make_batch
from tests.support.stored import add_batch
from tests.support.stored_inputs import store_inputs, stored_input

HOUR_MS = 3_600_000


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state folder with receipts and an input of two devices, an hour old."""
    at_ms = time.time_ns() // 1_000_000 - HOUR_MS
    url = store_url(str(tmp_path / "receipts.sqlite"))
    with Store(url) as store, RoundLog(url):
        for device in ("porch", "roof"):
            add_batch(store, device, make_batch(1, 2, answered_at_ms=at_ms))
        store_inputs(store, [stored_input([[0.5]], device="porch", at_ms=at_ms)])
    return tmp_path


def delete(state: Path, *arguments: str) -> int:
    return cli.main(["data", "delete", "--state", str(state), *arguments])


def devices(state: Path) -> set[str]:
    with Store(store_url(str(state / "receipts.sqlite"))) as store:
        return {row.device for row in store.receipts()}


def test_everything_of_a_device_is_deleted(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert delete(state, "--device", "porch", "--yes", "--json") == 0

    counts = json.loads(capsys.readouterr().out)
    assert counts == {
        "deleted": True,
        "device": "porch",
        "since_ms": None,
        "until_ms": None,
        "receipts": 2,
        "answers": 2,
        "inputs": 1,
        "labels": 0,
        "devices": 1,
        "target_changes": 0,
        "outboxes": 1,
        "federated_rounds": 0,
    }
    assert devices(state) == {"roof"}
    assert not [file for file in state.iterdir() if b"porch" in file.read_bytes()]


def test_dry_run_says_what_would_go_and_deletes_nothing(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert delete(state, "--since", "2020-01-01", "--dry-run") == 0

    output = capsys.readouterr().out
    assert "every device, from 2020-01-01 00:00:00 UTC: 4 receipts, 4 answers" in output
    assert "would be deleted" in output
    assert devices(state) == {"porch", "roof"}


def test_without_a_terminal_it_needs_yes(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert delete(state, "--device", "porch") == 1

    error = capsys.readouterr().err
    assert "porch: 2 receipts" in error
    assert "nothing was deleted: add --yes" in error
    assert devices(state) == {"porch", "roof"}


class Terminal(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "left"), [("y\n", {"roof"}), ("\n", {"porch", "roof"}), ("no\n", {"porch", "roof"})]
)
def test_person_at_a_terminal_is_asked(
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    left: set[str],
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))

    status = delete(state, "--device", "porch")

    assert status == (0 if left == {"roof"} else 1)
    assert "This cannot be undone. Delete? [y/N]" in capsys.readouterr().err
    assert devices(state) == left


def test_deleting_twice_is_no_error(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert delete(state, "--device", "porch", "--yes") == 0
    assert delete(state, "--device", "porch") == 0  # there is nothing to confirm

    assert "porch: 0 receipts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--yes",), "say what to delete"),
        (("--since", "2026-02-01", "--until", "2026-01-01", "--yes"), "not before --until"),
    ],
)
def test_unclear_command_deletes_nothing(
    state: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert delete(state, *arguments) == 1

    assert message in capsys.readouterr().err
    assert devices(state) == {"porch", "roof"}


def test_damaged_store_is_reported(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(state / "receipts.sqlite")) as database:
        database.execute("DROP TABLE hard_inputs")

    assert delete(state, "--device", "porch", "--yes") == 1

    assert "the receipt store cannot be used: no such table" in capsys.readouterr().err
    assert devices(state) == {"porch", "roof"}


def test_missing_store_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert delete(tmp_path, "--device", "porch", "--yes") == 1

    assert "there is no store" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
