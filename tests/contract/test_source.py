"""One suite for every source of inputs, with simulated sensors."""

import itertools
import json
import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling_device.sources.camera import Camera, choose_camera
from nestling_device.sources.cursor import Cursor
from nestling_device.sources.imu import Imu
from nestling_device.sources.recorded import Replay
from nestling_device.sources.source import Source, SourceError, Windows
from nestling_device.sources.unix_socket import UnixSocket
from nestling_device.sources.watched_folder import WatchedFolder
from tests.support.processes import until
from tests.support.simulated_bus import SimulatedBus

SHAPE = (2, 3)
PATIENCE_S = 20.0
LINE = '{"answer": "a"}'


def window(number: int) -> Windows:
    return np.full(SHAPE, number, np.float32)


def save_and_append(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(SHAPE))
        np.save(file, np.zeros(SHAPE))


class Fed(Protocol):
    """A source and its producer."""

    source: Source

    @property
    def shape(self) -> tuple[int, ...]: ...

    def feed(self, number: int) -> Windows:
        """Produce an input of that number, and return the window that the source should yield."""
        ...


class SourceContract:
    def test_inputs_are_yielded_in_order_and_unchanged(self, fed: Fed) -> None:
        for number in range(1, 5):
            wanted = fed.feed(number)
            taken = fed.source.take(PATIENCE_S)
            assert taken is not None
            assert taken.window.dtype == np.float32
            assert taken.window.shape == fed.shape
            np.testing.assert_allclose(taken.window, wanted, rtol=1e-5)
            fed.source.settle(LINE)

    def test_live_source_without_an_input_returns_none_in_time(self, fed: Fed) -> None:
        if fed.source.live:
            assert fed.source.take(0.01) is None
        else:
            assert fed.source.take(0.01) is not None

    def test_input_without_an_answer_is_refused_and_the_next_one_is_yielded(self, fed: Fed) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        fed.source.refuse("too large")

        wanted = fed.feed(2)
        taken = fed.source.take(PATIENCE_S)
        assert taken is not None
        np.testing.assert_allclose(taken.window, wanted, rtol=1e-5)
        fed.source.settle(LINE)

    def test_closing_twice_is_no_error(self, fed: Fed) -> None:
        fed.source.close()
        fed.source.close()


class FedReplay:
    shape = SHAPE

    def __init__(self) -> None:
        self.source: Source = Replay(np.stack([window(number) for number in range(1, 5)]))

    def feed(self, number: int) -> Windows:
        return window(number)


class TestReplay(SourceContract):
    @pytest.fixture
    def fed(self) -> Fed:
        return FedReplay()


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


class FedSocket:
    shape = SHAPE

    def __init__(self, path: Path, *, patience_s: float = PATIENCE_S) -> None:
        self.path = path
        self.source = UnixSocket(path, SHAPE, patience_s=patience_s)
        self.producer = self.connect()

    def connect(self) -> socket.socket:
        producer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        producer.settimeout(PATIENCE_S)
        producer.connect(str(self.path))
        return producer

    def feed(self, number: int) -> Windows:
        self.producer.sendall(frame(window(number)))
        return window(number)

    def close(self) -> None:
        self.producer.close()
        self.source.close()


def frame(values: NDArray[np.float32]) -> bytes:
    data = values.astype("<f4").tobytes()
    return len(data).to_bytes(4, "little") + data


def id_frame(text: str) -> bytes:
    data = text.encode()
    return (1 << 31 | len(data)).to_bytes(4, "little") + data


def line_from(producer: socket.socket) -> dict[str, Any]:
    with producer.makefile("rb") as file:
        line: dict[str, Any] = json.loads(file.readline())
    return line


class TestUnixSocket(SourceContract):
    @pytest.fixture
    def fed(self, tmp_path: Path) -> Iterator[FedSocket]:
        fed = FedSocket(tmp_path / "inputs")
        yield fed
        fed.close()

    def test_only_owner_and_group_may_connect(self, fed: FedSocket) -> None:
        assert fed.path.stat().st_mode & 0o777 == 0o660

    def test_answer_is_sent_to_the_producer(self, fed: FedSocket) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        fed.source.settle(LINE)

        assert line_from(fed.producer) == {"answer": "a"}

    def test_split_and_joined_frames_are_read(self, fed: FedSocket) -> None:
        both = frame(window(1)) + frame(window(2))
        taken = []
        for piece in (both[:3], both[3:20], both[20:50], both[50:]):
            fed.producer.sendall(piece)
            taken.append(fed.source.take(0.0))
        taken.append(fed.source.take(0.0))

        assert [None if found is None else found.window[0, 0] for found in taken] == [
            None,
            None,
            1,
            2,
            None,
        ]

    def test_second_producer_is_rejected_and_the_first_continues(self, fed: FedSocket) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        with fed.connect() as second:
            assert fed.source.take(0.05) is None
            assert "one at a time" in line_from(second)["error"]
            assert second.recv(1) == b""
        fed.feed(2)

        assert fed.source.take(PATIENCE_S) is not None

    def test_producer_that_dies_in_mid_frame_can_be_replaced(self, fed: FedSocket) -> None:
        fed.producer.sendall(frame(window(1))[:-1])
        fed.source.take(0.05)
        fed.producer.close()
        fed.source.take(0.05)
        fed.producer = fed.connect()
        fed.feed(2)

        taken = fed.source.take(PATIENCE_S)
        assert taken is not None
        assert taken.window[0, 0] == 2

    def test_answer_to_a_producer_that_is_gone_is_dropped(self, fed: FedSocket) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        fed.producer.close()

        fed.source.settle(LINE)

        assert fed.source.take(0.05) is None

    def test_producer_that_does_not_read_its_answers_never_blocks_the_agent(
        self, fed: FedSocket
    ) -> None:
        for _ in range(3):
            fed.feed(1)
            assert fed.source.take(PATIENCE_S) is not None
            fed.source.settle("x" * 1_000_000)

    def test_slow_producer_loses_whole_lines(self, fed: FedSocket) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        first = "a" * 1_000_000  # more than a socket's buffer holds
        fed.source.settle(first)
        fed.source.settle("lost")
        received = bytearray()

        def latest_came() -> bool:
            fed.source.settle("latest")
            received.extend(fed.producer.recv(1_000_000))
            return received.endswith(b"latest\n")

        until(latest_came)

        lines = received.decode().splitlines()
        assert lines[0] == first
        assert set(lines[1:]) == {"latest"}

    @pytest.mark.parametrize("length", [0, 20, 28, 2**31 - 1])
    def test_frame_of_another_size_disconnects_the_producer(
        self, fed: FedSocket, length: int
    ) -> None:
        fed.producer.sendall(length.to_bytes(4, "little"))

        assert fed.source.take(0.05) is None
        assert "float32 (2, 3) is 24 bytes" in line_from(fed.producer)["error"]
        assert fed.producer.recv(1) == b""

    def test_window_that_is_not_finite_is_rejected_and_the_next_one_is_read(
        self, fed: FedSocket
    ) -> None:
        fed.producer.sendall(frame(np.full(SHAPE, np.inf, np.float32)))
        fed.feed(2)

        taken = fed.source.take(PATIENCE_S)
        assert taken is not None
        assert taken.window[0, 0] == 2
        assert "not finite" in line_from(fed.producer)["error"]

    def test_id_belongs_to_its_window_only(self, fed: FedSocket) -> None:
        fed.producer.sendall(id_frame("porch/1") + frame(window(1)) + frame(window(2)))

        ids = []
        for _ in range(2):
            taken = fed.source.take(PATIENCE_S)
            assert taken is not None
            ids.append(taken.origin.id)

        assert ids == ["porch/1", ""]

    def test_rejected_window_is_reported_with_its_id(self, fed: FedSocket) -> None:
        fed.producer.sendall(id_frame("bad") + frame(np.full(SHAPE, np.inf, np.float32)))
        fed.feed(2)
        taken = fed.source.take(PATIENCE_S)

        assert taken is not None
        assert taken.origin.id == ""
        assert line_from(fed.producer)["id"] == "bad"

    def test_refused_window_is_reported_with_its_id_and_the_reason(self, fed: FedSocket) -> None:
        fed.producer.sendall(id_frame("porch/1") + frame(window(1)) + frame(window(2)))
        for known in ({"id": "porch/1"}, {}):
            assert fed.source.take(PATIENCE_S) is not None
            fed.source.refuse("too large")

            assert line_from(fed.producer) == {"error": "too large", **known}

    def test_invalid_utf8_in_an_id_is_replaced(self, fed: FedSocket) -> None:
        fed.producer.sendall((1 << 31 | 2).to_bytes(4, "little") + b"a\xff" + frame(window(1)))

        taken = fed.source.take(PATIENCE_S)

        assert taken is not None
        assert taken.origin.id == "a\ufffd"

    @pytest.mark.parametrize("length", [0, 129, 2**31 - 1])
    def test_id_of_an_invalid_length_disconnects_the_producer(
        self, fed: FedSocket, length: int
    ) -> None:
        fed.producer.sendall((1 << 31 | length).to_bytes(4, "little"))

        assert fed.source.take(0.05) is None
        assert "1 to 128 are allowed" in line_from(fed.producer)["error"]
        assert fed.producer.recv(1) == b""

    def test_producer_that_stops_in_mid_frame_is_disconnected(self, tmp_path: Path) -> None:
        fed = FedSocket(tmp_path / "slow", patience_s=0.01)
        fed.producer.sendall(b"\x18")
        until(lambda: fed.source.take(0.05) is None and fed.source._producer is None)

        assert "did not end in time" in line_from(fed.producer)["error"]
        fed.close()

    def test_socket_of_a_killed_process_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "left"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
            left.bind(str(path))

        FedSocket(path).close()

    def test_socket_in_use_is_rejected(self, fed: FedSocket) -> None:
        with pytest.raises(SourceError, match="another program listens there"):
            UnixSocket(fed.path, SHAPE)
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None

    def test_existing_file_is_rejected_and_kept(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("precious")

        with pytest.raises(SourceError, match="not a socket has this name"):
            UnixSocket(tmp_path / "file", SHAPE)
        assert (tmp_path / "file").read_text() == "precious"

    def test_path_too_long_for_a_socket_is_rejected(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="too long"):
            UnixSocket(tmp_path / ("x" * 120), SHAPE)


def imu_bus(readings: Callable[[], bytes]) -> SimulatedBus:
    bus = SimulatedBus(0x68, {0x75: b"\x68"})
    bus.live[0x3B] = readings
    return bus


def imu(bus: SimulatedBus, **changes: Any) -> Imu:
    options: dict[str, Any] = {
        "address": 0x68,
        "rate_hz": 500.0,
        "length": 3,
        "channels": ["ax", "wz"],
        "units": ["m/s^2", "rad/s"],
    }
    return Imu(bus, **{**options, **changes})


class FedImu:
    """A sensor that samples only after `feed`, with the number fed last in every sample."""

    shape = SHAPE

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.counts = 0
        self.bus = imu_bus(self._reading)
        self.source = imu(self.bus)

    def _reading(self) -> bytes:
        # At the end the semaphore is released many times, so that the thread can end.
        assert self.go.acquire(timeout=PATIENCE_S)
        words = [self.counts * 2048, 0, 0, -1234, 0, 0, self.counts * 164]
        return b"".join(word.to_bytes(2, "big", signed=True) for word in words)

    def feed(self, number: int) -> Windows:
        self.counts = number
        self.go.release(3)
        wanted = [[9.80665 * number] * 3, [np.pi / 18 * number] * 3]
        return np.array(wanted, np.float32)


class TestImu(SourceContract):
    @pytest.fixture
    def fed(self) -> Iterator[FedImu]:
        fed = FedImu()
        yield fed
        fed.go.release(10_000)
        fed.source.close()

    def test_closing_twice_is_no_error(self, fed: Fed) -> None:
        assert isinstance(fed, FedImu)
        fed.go.release(10_000)
        super().test_closing_twice_is_no_error(fed)
        assert fed.bus.closed

    def test_sensor_is_woken_and_set_to_16_g_and_2000_degrees_per_second(self, fed: FedImu) -> None:
        assert fed.bus.written == [(0x6B, b"\x01"), (0x19, b"\x00\x03\x18\x18")]


def test_failed_reading_restarts_the_window() -> None:
    calls = itertools.count()

    def reading() -> bytes:
        if next(calls) == 2:
            raise OSError(121, "Remote I/O error")
        return bytes(14)

    source = imu(imu_bus(reading), rate_hz=500.0)
    assert source.take(PATIENCE_S) is not None
    source.close()
    assert next(calls) >= 6  # two before the fault, and three for a whole window after it


def test_sensor_is_configured_again_after_a_failed_reading() -> None:
    calls = itertools.count()

    def reading() -> bytes:
        if next(calls) == 2:
            raise OSError(121, "Remote I/O error")
        return bytes(14)

    bus = imu_bus(reading)
    source = imu(bus)
    assert source.take(PATIENCE_S) is not None
    source.close()

    assert bus.written == [(0x6B, b"\x01"), (0x19, b"\x00\x03\x18\x18")] * 2


def test_short_reading_counts_as_a_failed_reading() -> None:
    class ShortBus(SimulatedBus):
        short = True

        def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]:
            data = super().read_i2c_block_data(i2c_addr, register, length)
            if register == 0x3B and self.short:
                self.short = False
                return data[:9]
            return data

    bus = ShortBus(0x68, {0x75: b"\x68", 0x3B: bytes(14)})
    source = imu(bus)

    assert source.take(PATIENCE_S) is not None
    source.close()


def test_error_in_the_sampling_thread_ends_the_source() -> None:
    def reading() -> bytes:
        raise RuntimeError("nobody foresaw this")

    source = imu(imu_bus(reading))
    with pytest.raises(SourceError, match="nobody foresaw this"):
        until(lambda: source.take(0.01) is not None)
    source.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"address": 0x69}, "no answer at I2C address 0x69"),
        ({"channels": ["ax", "pressure"]}, "does not measure the task's channel 'pressure'"),
        ({"units": ["g", "g"]}, "channel 'wz' in 'g'; it measures"),
    ],
)
def test_missing_or_unsuitable_sensor_is_rejected(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        imu(imu_bus(lambda: bytes(14)), **change)


def test_another_chip_at_the_address_is_refused() -> None:
    with pytest.raises(SourceError, match="identifies itself as 0x40"):
        imu(SimulatedBus(0x68, {0x75: b"\x40"}))


class SimulatedCamera:
    """A fake of picamera2: pictures of one color, with columns padded as by the ISP."""

    def __init__(self) -> None:
        self.colour = (0, 0, 0)
        self.size = (0, 0)
        self.format = ""
        self.closed = 0

    def create_video_configuration(self, *, main: dict[str, Any]) -> dict[str, Any]:
        return main

    def configure(self, camera_config: dict[str, Any]) -> None:
        self.size, self.format = camera_config["size"], camera_config["format"]

    def start(self) -> None:
        pass

    def capture_array(self, name: str = "main") -> NDArray[np.uint8]:
        width, height = self.size
        picture = np.zeros((height, width + 2, 3), np.uint8)
        picture[:, :width] = self.colour
        return picture

    def close(self) -> None:
        self.closed += 1


class FedCamera:
    shape = (3, 4, 8)

    def __init__(self) -> None:
        self.camera = SimulatedCamera()
        self.source: Source = Camera(self.camera, self.shape)

    def feed(self, number: int) -> Windows:
        self.camera.colour = (51 * number, 0, 255)
        return np.stack([np.full((4, 8), value, np.float32) for value in (number / 5, 0, 1)])


class TestCamera(SourceContract):
    @pytest.fixture
    def fed(self) -> Fed:
        return FedCamera()


def test_gray_picture_weights_colors_by_luminance() -> None:
    camera = SimulatedCamera()
    camera.colour = (255, 0, 0)

    taken = Camera(camera, (1, 28, 28)).take(0)

    assert taken is not None
    np.testing.assert_allclose(taken.window, np.full((1, 28, 28), 0.299), rtol=1e-5)


def test_camera_captures_a_whole_multiple_of_the_shape() -> None:
    camera = SimulatedCamera()
    Camera(camera, (1, 28, 28))

    assert camera.size == (84, 84)
    assert camera.format == "BGR888"


class FailingCamera(SimulatedCamera):
    """A camera whose first captures fail.

    Args:
        failures: how many fail.
    """

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def capture_array(self, name: str = "main") -> NDArray[np.uint8]:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the pipeline has stopped")
        return super().capture_array(name)


def test_failed_picture_is_skipped_and_the_next_one_is_taken() -> None:
    source = Camera(FailingCamera(9), (1, 28, 28))

    assert [source.take(0) for _ in range(9)] == [None] * 9
    assert source.take(0) is not None


def test_camera_that_keeps_failing_ends_the_source() -> None:
    source = Camera(FailingCamera(99), (1, 28, 28))
    for _ in range(9):
        source.take(0)

    with pytest.raises(SourceError, match="no picture: the pipeline has stopped"):
        source.take(0)


RIBBON = {"Num": 0, "Model": "imx708", "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a"}
RIBBON_TOO = {"Num": 1, "Model": "imx219", "Id": "/base/soc/i2c0mux/i2c@0/imx219@10"}
USB = {"Num": 0, "Model": "HD Webcam", "Id": "/base/scb/pcie@7d500000/usb@1,0-1:1.0-046d:0825"}


@pytest.mark.parametrize(
    ("cameras", "wanted", "number"),
    [
        ([RIBBON], "", 0),
        ([USB], "", 0),
        ([USB, RIBBON_TOO], "", 1),
        ([RIBBON, RIBBON_TOO], "imx219", 1),
        ([RIBBON, RIBBON_TOO], "0", 0),
        ([USB, RIBBON_TOO], "HD Webcam", 0),
    ],
)
def test_requested_camera_is_chosen(
    cameras: list[dict[str, Any]], wanted: str, number: int
) -> None:
    assert number == choose_camera(cameras, wanted)


@pytest.mark.parametrize(
    ("cameras", "wanted", "message"),
    [
        ([], "", "check the ribbon cable"),
        ([RIBBON, RIBBON_TOO], "", r"0 \(imx708\), 1 \(imx219\); give a number or a model"),
        ([RIBBON], "imx219", "no camera imx219"),
    ],
)
def test_missing_or_ambiguous_camera_is_rejected(
    cameras: list[dict[str, Any]], wanted: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        choose_camera(cameras, wanted)


@pytest.mark.parametrize("shape", [(6, 100), (2, 28, 28)])
def test_task_without_pictures_is_rejected_and_the_camera_is_closed(
    shape: tuple[int, ...],
) -> None:
    camera = SimulatedCamera()

    with pytest.raises(SourceError, match="a camera gives"):
        Camera(camera, shape)
    assert camera.closed == 1
