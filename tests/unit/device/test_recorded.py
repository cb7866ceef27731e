import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.hand_bundle import EASY, HARD, UNSURE, hand_bundle
from tests.memory_source import MemorySource

from nestling_device.delivery.blobs import BlobStore
from nestling_device.sources.recorded import Replay, read_golden, read_recording
from nestling_device.sources.source import SourceError

SHAPE = (2, 3)


def saved(folder: Path, array: NDArray[np.generic]) -> Path:
    path = folder / "day.npy"
    np.save(path, array)
    return path


def test_recording_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    windows = np.arange(24, dtype=np.float32).reshape(4, *SHAPE)

    np.testing.assert_array_equal(windows, read_recording(saved(tmp_path, windows), SHAPE))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 3, 2), np.float32), "is needed"),
        (np.zeros(SHAPE, np.float32), "is needed"),
        (np.zeros((), np.float32), "is needed"),
        (np.zeros((0, *SHAPE), np.float32), "N at least 1"),
        (np.zeros((4, *SHAPE), np.float64), "float64"),
        (np.full((4, *SHAPE), np.nan, np.float32), "not finite"),
        (np.array([{"a": 1}], object), "not a readable"),
    ],
    ids=["shape", "one window", "scalar", "none", "type", "nan", "pickle"],
)
def test_array_that_is_no_recording_is_refused(
    tmp_path: Path, array: NDArray[np.generic], words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        read_recording(saved(tmp_path, array), SHAPE)


def _zip() -> bytes:
    file = io.BytesIO()
    np.savez(file, np.zeros((1, *SHAPE), np.float32))
    return file.getvalue()


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x93NUMPY\x01\x00v\x00", _zip()], ids=["", "text", "cut short", "npz"]
)
def test_file_that_is_no_array_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "day.npy"
    path.write_bytes(data)

    with pytest.raises(SourceError, match=r"day\.npy is not a readable \.npy file"):
        read_recording(path, SHAPE)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        read_recording(tmp_path / "gone.npy", SHAPE)


def test_golden_inputs_are_a_source(tmp_path: Path) -> None:
    manifest, blobs = hand_bundle()
    source, store = MemorySource(), BlobStore(tmp_path)
    source.release(manifest, dict(blobs))
    store.download(source, manifest.golden)

    np.testing.assert_array_equal([EASY, UNSURE, HARD], read_golden(manifest, store))


@given(length=st.integers(1, 5), count=st.integers(0, 12))
def test_replay_begins_again_where_the_windows_run_out(length: int, count: int) -> None:
    source = Replay(np.arange(length, dtype=np.float32))

    assert [index % length for index in range(count)] == [source.take(0) for _ in range(count)]
