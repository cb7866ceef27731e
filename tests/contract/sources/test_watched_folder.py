"""A watched folder as a source."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling_device.sources.cursor import Cursor
from nestling_device.sources.source import SourceError, Windows
from nestling_device.sources.watched_folder import WatchedFolder
from tests.support.processes import until
from tests.support.source_contract import (
    LINE,
    PATIENCE_S,
    SHAPE,
    SourceContract,
    save_and_append,
    window,
)


class FedFolder:
    shape = SHAPE

    def __init__(self, folder: Path, *, settle_s: float = 0.0, keep_answered: bool = True) -> None:
        self.folder = folder / "inputs"
        self.folder.mkdir(exist_ok=True)
        self.state = folder / "state"
        self.written = 0
        self.source = WatchedFolder(
            self.folder,
            SHAPE,
            cursor=Cursor(self.state),
            written=lambda: self.written,
            settle_s=settle_s,
            keep_answered=keep_answered,
        )

    def feed(self, number: int) -> Windows:
        self.save(f"{number:03d}.npy", window(number))
        return window(number)

    def save(self, name: str, array: NDArray[Any]) -> None:
        np.save(self.folder / name, array)

    def answer(self) -> float:
        """Take an input, write its receipt and settle it; return its first value."""
        taken = self.source.take(PATIENCE_S)
        assert taken is not None
        self.written += 1
        self.source.settle(LINE)
        return float(taken.window[0, 0])

    def names(self, kind: str = ".") -> set[str]:
        return {path.name for path in (self.folder / kind).glob("*.npy")}


class TestWatchedFolder(SourceContract):
    @pytest.fixture
    def fed(self, tmp_path: Path) -> Iterator[FedFolder]:
        fed = FedFolder(tmp_path)
        yield fed
        fed.source.close()

    def test_files_are_answered_by_name_and_moved_when_done(self, fed: FedFolder) -> None:
        fed.save("b.npy", window(3))
        fed.save("a.npy", np.stack([window(1), window(2)]))

        assert [fed.answer() for _ in range(3)] == [1, 2, 3]
        assert (fed.names(), fed.names("answered")) == (set(), {"a.npy", "b.npy"})

    def test_answered_files_are_deleted_unless_kept(self, tmp_path: Path) -> None:
        fed = FedFolder(tmp_path, keep_answered=False)
        fed.feed(1)
        fed.answer()

        assert (fed.names(), fed.names("answered")) == (set(), set())
        fed.source.close()

    def test_repeated_name_replaces_no_answered_file(self, fed: FedFolder) -> None:
        for number in (1, 2):
            fed.save("a.npy", window(number))
            fed.answer()

        assert fed.names("answered") == {"a.npy", "a-1.npy"}

    @pytest.mark.parametrize("name", [".a.npy", "a.npy.part", "a.txt"])
    def test_other_names_are_left_alone(self, fed: FedFolder, name: str) -> None:
        (fed.folder / name).write_bytes(b"not for us")

        assert fed.source.take(0.01) is None
        assert (fed.folder / name).exists()

    def test_source_waits_for_a_half_written_file(self, tmp_path: Path) -> None:
        fed = FedFolder(tmp_path, settle_s=PATIENCE_S)
        fed.save("a.npy", window(1))
        whole = (fed.folder / "a.npy").read_bytes()
        for length in (0, 5, 60, len(whole) - 1):
            (fed.folder / "a.npy").write_bytes(whole[:length])
            assert fed.source.take(0.01) is None
        (fed.folder / "a.npy").write_bytes(whole)

        assert fed.answer() == 1
        assert fed.names("rejected") == set()
        fed.source.close()

    def test_file_behind_a_half_written_one_does_not_wait(self, tmp_path: Path) -> None:
        fed = FedFolder(tmp_path, settle_s=PATIENCE_S)
        (fed.folder / "a.npy").write_bytes(b"")
        fed.save("b.npy", window(2))

        assert fed.answer() == 2
        fed.source.close()

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((1, 3, 2), np.float32),
            np.zeros(SHAPE, np.complex64),
            np.full(SHAPE, np.nan, np.float32),
            np.zeros((0, *SHAPE), np.float32),
            np.array([{"a": 1}], object),
        ],
        ids=["shape", "type", "nan", "none", "pickle"],
    )
    def test_bad_file_is_rejected_with_its_reason_and_the_next_one_is_answered(
        self, fed: FedFolder, array: NDArray[Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        fed.save("a.npy", array)
        fed.save("b.npy", window(2))

        assert fed.answer() == 2
        until(lambda: fed.source.take(0.01) is None and fed.names("rejected") == {"a.npy"})
        assert "a.npy" in caplog.text

    def test_file_with_refused_windows_is_rejected_after_its_other_windows_are_answered(
        self, fed: FedFolder, caplog: pytest.LogCaptureFixture
    ) -> None:
        fed.save("a.npy", np.stack([window(number) for number in range(4)]))
        fed.save("b.npy", window(9))
        for number in range(4):
            taken = fed.source.take(PATIENCE_S)
            assert taken is not None
            assert taken.window[0, 0] == number
            if number % 2:
                fed.source.refuse("too large")
            else:
                fed.written += 1
                fed.source.settle(LINE)

        assert fed.answer() == 9
        assert (fed.names("answered"), fed.names("rejected")) == ({"b.npy"}, {"a.npy"})
        reason = (fed.folder / "rejected" / "a.npy.txt").read_text()
        assert "a.npy has no answer to window 1, 3, counted from 0: too large" in reason
        assert reason.strip() in caplog.text

    def test_refused_file_is_kept_even_if_answered_ones_are_deleted(self, tmp_path: Path) -> None:
        fed = FedFolder(tmp_path, keep_answered=False)
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        fed.source.refuse("too large")

        assert (fed.names(), fed.names("rejected")) == (set(), {"001.npy"})
        fed.source.close()

    @pytest.mark.parametrize("last", [False, True])
    def test_restart_after_a_kill_at_a_refused_window_answers_nothing_twice(
        self, fed: FedFolder, tmp_path: Path, last: bool
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

    def test_header_that_states_more_than_memory_holds_is_a_bad_file(
        self, fed: FedFolder, caplog: pytest.LogCaptureFixture
    ) -> None:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 2, 3), }\n"
        magic = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        (fed.folder / "a.npy").write_bytes(magic + header)

        until(lambda: fed.source.take(0.01) is None and fed.names("rejected") == {"a.npy"})
        assert "not a readable .npy file" in caplog.text

    def test_file_above_the_size_limit_is_rejected(
        self, fed: FedFolder, caplog: pytest.LogCaptureFixture
    ) -> None:
        with (fed.folder / "a.npy").open("wb") as file:
            file.truncate((64 << 20) + 1)

        until(lambda: fed.source.take(0.01) is None and fed.names("rejected") == {"a.npy"})
        assert "split it" in caplog.text

    def test_file_above_the_size_limit_as_float32_is_rejected(
        self, fed: FedFolder, caplog: pytest.LogCaptureFixture
    ) -> None:
        fed.save("a.npy", np.zeros(((16 << 20) // 6 + 1, *SHAPE), np.int8))

        until(lambda: fed.source.take(0.01) is None and fed.names("rejected") == {"a.npy"})
        assert "split it" in caplog.text

    @pytest.mark.parametrize(
        ("put", "reason"),
        [
            (lambda path: path.symlink_to(path.name), "symbolic links"),
            (lambda path: path.symlink_to("nowhere"), "No such file"),
            (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
            (lambda path: path.mkdir(), "not a regular file"),
            (os.mkfifo, "not a regular file"),
            (save_and_append, "more bytes follow"),
        ],
        ids=["link to itself", "link to nothing", "device", "folder", "pipe", "appended to"],
    )
    def test_unreadable_item_is_rejected_with_its_reason(
        self, fed: FedFolder, put: Callable[[Path], object], reason: str
    ) -> None:
        put(fed.folder / "a.npy")
        for number in (1, 2, 3):
            fed.feed(number)

        assert [fed.answer() for _ in range(3)] == [1, 2, 3]
        until(lambda: fed.source.take(0.01) is None and fed.names() == set())
        assert os.path.lexists(fed.folder / "rejected" / "a.npy")
        assert reason in (fed.folder / "rejected" / "a.npy.txt").read_text()

    @pytest.mark.parametrize(
        "name",
        [b"a\xff\xfe.npy", b"a\nb.npy", b"x" * 251 + b".npy", "å\u2028.npy".encode()],
        ids=["not UTF-8", "line break", "255 bytes", "separator"],
    )
    def test_file_is_answered_whatever_its_name(self, fed: FedFolder, name: bytes) -> None:
        def save(number: int) -> None:
            with Path(fed.folder, os.fsdecode(name)).open("wb") as file:
                np.save(file, window(number))

        save(1)
        fed.feed(2)
        both = {fed.answer(), fed.answer()}
        save(3)  # the name is taken in `answered`, and a longer one may not be

        assert both == {1, 2}
        assert fed.answer() == 3
        assert len(fed.names("answered")) == 3

    def test_file_dated_beyond_a_64_bit_nanosecond_time_is_answered(self, fed: FedFolder) -> None:
        fed.save("a.npy", window(1))
        os.utime(fed.folder / "a.npy", (13_600_000_000, 13_600_000_000))  # the year 2400

        assert fed.answer() == 1

    def test_origin_names_the_file_and_window(self, fed: FedFolder) -> None:
        with Path(fed.folder, os.fsdecode(b"a\xff.npy")).open("wb") as file:
            np.save(file, np.stack([window(1), window(2)]))

        origins = []
        for _ in range(2):
            taken = fed.source.take(PATIENCE_S)
            assert taken is not None
            origins.append((taken.origin.file, taken.origin.window))
            fed.source.settle(LINE)

        assert origins == [("a\\xff.npy", 0), ("a\\xff.npy", 1)]

    @pytest.mark.parametrize("blocked", ["answered", "rejected"])
    def test_files_are_answered_if_a_subfolder_cannot_be_created(
        self, tmp_path: Path, blocked: str
    ) -> None:
        (tmp_path / "inputs").mkdir()
        (tmp_path / "inputs" / blocked).write_text("in the way")
        fed = FedFolder(tmp_path)
        fed.save("a.npy", np.zeros(SHAPE, np.complex64))
        fed.save("b.npy", window(1))
        fed.save("c.npy", window(2))

        assert [fed.answer() for _ in range(2)] == [1, 2]
        assert all(fed.source.take(0.01) is None for _ in range(3))
        fed.source.close()

    def test_answered_file_that_could_not_be_moved_is_not_answered_after_a_restart(
        self, tmp_path: Path
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

    def test_removed_subfolder_is_created_again(self, fed: FedFolder) -> None:
        (fed.folder / "answered").rmdir()
        fed.feed(1)
        fed.answer()

        assert fed.names("answered") == {"001.npy"}

    def test_file_that_vanishes_after_it_was_listed_is_skipped(self, fed: FedFolder) -> None:
        for number in (1, 2, 3):
            fed.feed(number)
        assert fed.answer() == 1
        (fed.folder / "002.npy").unlink()

        assert fed.answer() == 3

    def test_folder_of_many_files_is_listed_once_for_all_of_them(
        self, fed: FedFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(30):
            fed.feed(number)
        listed = []
        scandir = os.scandir

        def counted(path: Path) -> Any:
            listed.append(path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", counted)

        assert [fed.answer() for _ in range(30)] == list(range(30))
        assert len(listed) <= 2

    @pytest.mark.parametrize("receipt_written", [True, False])
    def test_restart_after_a_kill_answers_only_inputs_without_a_receipt(
        self, fed: FedFolder, tmp_path: Path, receipt_written: bool
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
        self, fed: FedFolder, tmp_path: Path
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
        self, fed: FedFolder, tmp_path: Path
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
        self, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
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

    def test_file_removed_while_it_is_answered_is_no_error(
        self, fed: FedFolder, caplog: pytest.LogCaptureFixture
    ) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        (fed.folder / "001.npy").unlink()
        fed.source.settle(LINE)

        assert fed.source.take(0.01) is None
        assert "disappeared" in caplog.text

    def test_folder_may_disappear_and_return(self, fed: FedFolder) -> None:
        fed.folder.rename(fed.folder.with_name("gone"))
        assert fed.source.take(0.01) is None
        fed.folder.with_name("gone").rename(fed.folder)
        fed.feed(1)

        assert fed.answer() == 1

    def test_missing_folder_is_rejected(self, tmp_path: Path) -> None:
        cursor = Cursor(tmp_path / "state")
        with pytest.raises(SourceError, match="may move files"):
            WatchedFolder(tmp_path / "none", SHAPE, cursor=cursor, written=lambda: 0)
        cursor.close()
