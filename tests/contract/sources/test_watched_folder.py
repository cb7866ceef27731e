"""A watched folder as a source."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.fed_folder import FedFolder
from tests.support.processes import until
from tests.support.source_contract import LINE, PATIENCE_S, SHAPE, SourceContract, window


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
