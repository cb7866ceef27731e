import io
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as hypothesis_arrays
from numpy.typing import NDArray

from nestling_device.delivery.blob_store import BlobStore
from nestling_device.sources.array_file import to_windows
from nestling_device.sources.replay import Replay, read_golden, read_recording
from nestling_device.sources.source import SourceError
from tests.support.hand_bundle import EASY, HARD, UNSURE, hand_bundle
from tests.support.memory_source import MemorySource

SHAPE = (2, 3)


def saved(folder: Path, array: NDArray[np.generic]) -> Path:
    path = folder / "day.npy"
    np.save(path, array)
    return path


def test_saved_recording_is_read_unchanged(tmp_path: Path) -> None:
    windows = np.arange(24, dtype=np.float32).reshape(4, *SHAPE)

    np.testing.assert_array_equal(windows, read_recording(saved(tmp_path, windows), SHAPE))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 3, 2), np.float32), "is needed"),
        (np.zeros(SHAPE, np.float32), "is needed"),
        (np.zeros((), np.float32), "is needed"),
        (np.zeros((0, *SHAPE), np.float32), "N at least 1"),
        (np.zeros((4, *SHAPE), np.complex64), "complex64"),
        (np.zeros((4, *SHAPE), bool), "bool"),
        (np.full((4, *SHAPE), 1e39), "not finite in float32"),
        (np.full((4, *SHAPE), 2**24 + 1), "does not hold exactly"),
        (np.full((4, *SHAPE), -(2**63)), "does not hold exactly"),
        (np.full((4, *SHAPE), np.nan, np.float32), "not finite"),
        (np.array([{"a": 1}], object), "not a readable"),
    ],
    ids=[
        "shape",
        "one window",
        "scalar",
        "none",
        "complex",
        "bool",
        "too large",
        "whole and too large",
        "whole and too small",
        "nan",
        "pickle",
    ],
)
def test_unsuitable_array_is_refused(
    tmp_path: Path, array: NDArray[np.generic], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        read_recording(saved(tmp_path, array), SHAPE)


@pytest.mark.parametrize(
    "dtype", ["<f8", ">f8", ">f4", "<f2", "i1", ">u2", "<i8", "u8"], ids=lambda name: name
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_number_type_and_memory_order_is_read_as_float32(
    tmp_path: Path, dtype: str, order: Literal["C", "F"]
) -> None:
    values = np.arange(24).reshape(4, *SHAPE)

    found = read_recording(saved(tmp_path, np.asarray(values, dtype, order=order)), SHAPE)

    assert found.dtype == np.float32
    assert found.dtype.isnative
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(values, found)


def test_float64_is_rounded_to_the_nearest_float32(tmp_path: Path) -> None:
    found = read_recording(saved(tmp_path, np.full((1, *SHAPE), 0.1)), SHAPE)

    np.testing.assert_array_equal(found, np.float32(0.1))


@given(
    hypothesis_arrays(
        st.sampled_from(["i1", "u1", "<i2", ">i4", "<i8", "<u8", "<f2", "<f8", ">f8"]), (2, *SHAPE)
    )
)
def test_accepted_values_are_finite_and_whole_numbers_are_exact(array: NDArray[Any]) -> None:
    try:
        found = to_windows(array, SHAPE)
    except ValueError:
        return

    assert np.isfinite(found).all()
    if array.dtype.kind in "iu":
        assert found.astype(array.dtype).tolist() == array.tolist()


def test_pipe_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "day.npy")

    with pytest.raises(SourceError, match="not a regular file"):
        read_recording(tmp_path / "day.npy", SHAPE)


def _zip() -> bytes:
    file = io.BytesIO()
    np.savez(file, np.zeros((1, *SHAPE), np.float32))
    return file.getvalue()


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x93NUMPY\x01\x00v\x00", _zip()], ids=["", "text", "cut short", "npz"]
)
def test_file_that_is_not_an_array_is_refused(tmp_path: Path, data: bytes) -> None:
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
def test_replay_starts_over_after_the_last_window(length: int, count: int) -> None:
    source = Replay(np.arange(length, dtype=np.float32), "day.npy")

    taken = [source.take(0) for _ in range(count)]

    assert [index % length for index in range(count)] == [one.window for one in taken if one]
    assert {("day.npy", index % length) for index in range(count)} == {
        (one.origin.file, one.origin.window) for one in taken if one
    }
