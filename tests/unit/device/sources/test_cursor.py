"""A watched folder after a restart."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.fed_folder import FedFolder
from tests.support.source_contract import PATIENCE_S, window


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[FedFolder]:
    fed = FedFolder(tmp_path)
    yield fed
    fed.source.close()


@pytest.mark.parametrize("last", [False, True])
def test_restart_after_a_kill_at_a_refused_window_answers_nothing_twice(
    fed: FedFolder, tmp_path: Path, last: bool
) -> None:
    fed.save("a.npy", np.stack([window(number) for number in range(2 if last else 3)]))
    assert fed.answer() == 0
    assert fed.source.take(PATIENCE_S) is not None
    if not last:
        fed.source.refuse("too large")
        assert fed.source.take(PATIENCE_S) is not None  # and the process dies
    fed.source.close()

    again = FedFolder(tmp_path)
    again.written = fed.written
    assert again.answer() == (1 if last else 2)
    again.source.close()


def test_answered_file_that_could_not_be_moved_is_not_answered_after_a_restart(
    tmp_path: Path,
) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "answered").write_text("in the way")
    fed = FedFolder(tmp_path)
    for number in (1, 2):
        fed.feed(number)
    assert [fed.answer() for _ in range(2)] == [1, 2]
    fed.source.close()

    again = FedFolder(tmp_path)
    again.written = 2
    assert again.source.take(0.01) is None
    again.source.close()
    (tmp_path / "inputs" / "answered").unlink()
    last = FedFolder(tmp_path)
    last.written = 2

    assert last.source.take(0.01) is None
    assert last.names("answered") == {"001.npy", "002.npy"}
    last.source.close()


@pytest.mark.parametrize("receipt_written", [True, False])
def test_restart_after_a_kill_answers_only_inputs_without_a_receipt(
    fed: FedFolder, tmp_path: Path, receipt_written: bool
) -> None:
    fed.save("a.npy", np.stack([window(1), window(2), window(3)]))
    assert fed.answer() == 1
    assert fed.source.take(PATIENCE_S) is not None  # and the process dies, answering the 2
    fed.source.close()

    again = FedFolder(tmp_path)
    again.written = 2 if receipt_written else 1
    left = [again.answer() for _ in range(1 if receipt_written else 2)]

    assert left == ([3] if receipt_written else [2, 3])
    assert again.source.take(0.01) is None
    again.source.close()


def test_kill_between_the_last_answer_and_the_move_answers_nothing_twice(
    fed: FedFolder, tmp_path: Path
) -> None:
    fed.feed(1)
    assert fed.source.take(PATIENCE_S) is not None
    fed.source.close()

    again = FedFolder(tmp_path)
    again.written = 1

    assert again.source.take(0.01) is None
    assert again.names("answered") == {"001.npy"}
    again.source.close()


def test_new_file_under_a_partly_answered_name_is_answered_from_its_start(
    fed: FedFolder, tmp_path: Path
) -> None:
    fed.save("a.npy", np.stack([window(1), window(2)]))
    assert fed.answer() == 1
    fed.source.close()
    fed.save("a.npy", np.stack([window(7), window(8), window(9)]))

    again = FedFolder(tmp_path)
    again.written = 1

    assert [again.answer() for _ in range(3)] == [7, 8, 9]
    again.source.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE cursor SET position = 'x'",
        "UPDATE cursor SET sequence = CAST(x'ff' AS TEXT)",
        "UPDATE cursor SET size = x'00'",
        "UPDATE cursor SET mtime_ns = CAST(x'fffe' AS TEXT)",
        "INSERT INTO left_behind VALUES (x'61', 'much', 'once')",
    ],
)
def test_damaged_cursor_row_is_discarded_with_a_warning(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    fed = FedFolder(tmp_path)
    fed.save("a.npy", np.stack([window(1), window(2)]))
    assert fed.answer() == 1
    fed.source.take(PATIENCE_S)
    fed.source.close()
    with sqlite3.connect(fed.state / "source.db") as database:
        database.execute(damage)
    database.close()

    for _ in range(2):
        again = FedFolder(tmp_path)
        again.written = 1
        taken = again.source.take(PATIENCE_S)
        assert taken is not None
        assert taken.window[0, 0] == (2 if "left_behind" in damage else 1)
        again.source.close()
    assert len(caplog.records) == 1  # the second start finds nothing damaged
    assert "source.db" in caplog.text
