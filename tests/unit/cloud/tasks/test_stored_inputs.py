import errno
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling_cloud.tasks import (
    Examples,
    StoredInputs,
    StoredInputsError,
    concatenate,
    store_inputs,
)
from nestling_cloud.tasks.inputs import batch_size, batches_of, joined, rows_of

PICTURES = np.random.default_rng(0).integers(0, 256, (40, 3, 4, 5), dtype=np.uint8)
FLOATS = np.random.default_rng(1).normal(size=(40, 6, 10)).astype(np.float32)


def stored(folder: Path, array: NDArray[Any] = PICTURES) -> StoredInputs:
    return store_inputs(folder / "inputs.npy", np.array_split(array, 3))


def test_inputs_of_a_file_are_those_that_were_written(tmp_path: Path) -> None:
    inputs = stored(tmp_path, FLOATS)

    assert np.array_equal(inputs[:], FLOATS)
    assert (inputs.shape, inputs.ndim, len(inputs)) == (FLOATS.shape, 3, 40)


def test_pictures_are_read_from_0_to_1_as_float32(tmp_path: Path) -> None:
    inputs = stored(tmp_path)

    assert inputs[:].dtype == inputs.dtype == np.float32
    assert np.array_equal(inputs[:], (PICTURES / 255).astype(np.float32))
    assert inputs.stored_type == np.uint8


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_rows_are_chosen_as_from_an_array(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    array: NDArray[Any] = FLOATS
    inputs = stored(tmp_path_factory.mktemp("stored"), FLOATS)
    for _ in range(3):
        size = len(array)
        rows = data.draw(
            st.one_of(
                st.slices(size),
                st.lists(st.integers(-size, size - 1), max_size=50) if size else st.just([]),
                st.lists(st.booleans(), min_size=size, max_size=size).map(
                    lambda mask: np.array(mask, bool)
                ),
            )
        )
        chosen = np.array(rows, np.int64) if isinstance(rows, list) else rows
        array, expected = array[chosen], array[chosen]
        assert np.array_equal(inputs[rows], expected)
        inputs = inputs.rows(rows)
        assert inputs.shape == expected.shape


def test_one_row_is_an_input(tmp_path: Path) -> None:
    inputs = stored(tmp_path, FLOATS)

    assert np.array_equal(inputs[-1], FLOATS[-1])
    assert np.array_equal(inputs[np.int64(2)], FLOATS[2])
    with pytest.raises(IndexError):
        inputs[40]
    with pytest.raises(IndexError):
        inputs[[0, 40]]


def test_pickled_inputs_keep_their_rows(tmp_path: Path) -> None:
    part = stored(tmp_path, FLOATS).rows([5, 3, 30])

    again = pickle.loads(pickle.dumps(part))  # noqa: S301  our own bytes

    assert np.array_equal(again[:], FLOATS[[5, 3, 30]])


def test_threads_read_the_same_file_at_once(tmp_path: Path) -> None:
    inputs, found = stored(tmp_path, FLOATS), {}

    def read(turn: int) -> None:
        found[turn] = all(np.array_equal(inputs[[turn]], FLOATS[[turn]]) for _ in range(200))

    threads = [threading.Thread(target=read, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == dict.fromkeys(range(4), True)


def test_parts_of_one_file_are_joined_without_reading_them(tmp_path: Path) -> None:
    inputs = stored(tmp_path, FLOATS)
    parts = [inputs.rows(slice(10, 20)), inputs.rows(slice(0, 5))]

    whole = joined(parts)

    assert isinstance(whole, StoredInputs)
    assert np.array_equal(whole[:], np.concatenate([FLOATS[10:20], FLOATS[:5]]))


def test_inputs_of_different_files_are_not_joined(tmp_path: Path) -> None:
    one, other = stored(tmp_path / "a"), stored(tmp_path / "b")

    with pytest.raises(StoredInputsError, match="write all of them to one file"):
        joined([one, other])
    with pytest.raises(StoredInputsError, match="write all of them to one file"):
        joined([one, FLOATS])


def test_recordings_in_a_file_are_concatenated(tmp_path: Path) -> None:
    inputs, labels = stored(tmp_path, FLOATS), np.arange(40) % 2
    recordings = [
        Examples(inputs=inputs, labels=labels).rows(part) for part in (slice(0, 7), slice(7, 20))
    ]

    whole = concatenate(recordings)

    assert whole.lengths == [7, 13]
    assert np.array_equal(whole.inputs[:], FLOATS[:20])


def test_batches_are_all_inputs_in_order(tmp_path: Path) -> None:
    inputs = stored(tmp_path, FLOATS)

    assert [len(batch) for batch in batches_of(inputs, 16)] == [16, 16, 8]
    assert np.array_equal(np.concatenate(list(batches_of(inputs, 16))), FLOATS)
    assert batch_size(inputs) % 128 == 0
    assert isinstance(rows_of(inputs, slice(3)), StoredInputs)
    assert np.array_equal(rows_of(FLOATS, [1, 2])[:], FLOATS[1:3])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no numpy file at all, but long enough to be read as a header" * 4,
        b"\x93NUMPY\x01\x00\xff\xff{",
        b"\x93NUMPY\x01\x00\x10\x00{'shape': __import__('os')}",
    ],
)
def test_damaged_file_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "inputs.npy"
    path.write_bytes(content)

    with pytest.raises(StoredInputsError, match=r"inputs.npy is not a file of inputs"):
        StoredInputs(path)


def test_missing_file_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(StoredInputsError, match=r"inputs.npy is not a file of inputs: .*No such"):
        StoredInputs(tmp_path / "inputs.npy")


def test_shortened_file_is_refused(tmp_path: Path) -> None:
    stored(tmp_path)
    os.truncate(tmp_path / "inputs.npy", 1000)

    with pytest.raises(StoredInputsError, match=r"1,000 bytes, but 40 inputs of \[3, 4, 5\]"):
        StoredInputs(tmp_path / "inputs.npy")


def test_file_shortened_while_it_is_open_is_an_error(tmp_path: Path) -> None:
    inputs = stored(tmp_path)
    os.truncate(tmp_path / "inputs.npy", 1000)

    with pytest.raises(StoredInputsError, match="cut short"):
        inputs[:]


@pytest.mark.parametrize(
    "array", [FLOATS.astype(np.float64), FLOATS.astype(">f4"), FLOATS[:, 0, 0]]
)
def test_other_arrays_are_refused(tmp_path: Path, array: NDArray[Any]) -> None:
    np.save(tmp_path / "other.npy", array)

    with pytest.raises(StoredInputsError, match="not a file of inputs"):
        StoredInputs(tmp_path / "other.npy")
    with pytest.raises(StoredInputsError):
        store_inputs(tmp_path / "mine.npy", [array])


def test_array_saved_by_numpy_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "saved.npy", PICTURES)

    assert np.array_equal(StoredInputs(tmp_path / "saved.npy")[:], (PICTURES / 255).astype("f4"))


@pytest.mark.parametrize(
    "batches", [[], [PICTURES[:0]], [PICTURES, FLOATS], [PICTURES, PICTURES[:, 0]]]
)
def test_failed_writing_leaves_the_old_file(tmp_path: Path, batches: list[NDArray[Any]]) -> None:
    stored(tmp_path, FLOATS)

    with pytest.raises(StoredInputsError):
        store_inputs(tmp_path / "inputs.npy", batches)

    assert np.array_equal(StoredInputs(tmp_path / "inputs.npy")[:], FLOATS)
    assert list(tmp_path.iterdir()) == [tmp_path / "inputs.npy"]


def test_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    def batches() -> Any:
        yield PICTURES
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StoredInputsError, match=r"cannot be written: the disk is full \("):
        store_inputs(tmp_path / "inputs.npy", batches())

    assert list(tmp_path.iterdir()) == []


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_appended_inputs_are_behind_those_of_the_file(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    inputs = stored(tmp_path_factory.mktemp("stored"), FLOATS).rows(slice(None, None, 2))
    array = np.concatenate([FLOATS[::2], FLOATS[:3] + 1, FLOATS[:2] + 2])

    whole = inputs.appended(FLOATS[:3] + 1).appended(FLOATS[:2] + 2)

    rows = data.draw(st.lists(st.integers(-25, 24), max_size=50))
    assert np.array_equal(whole[rows], array[rows])
    assert np.array_equal(whole[:], array)
    assert np.array_equal(pickle.loads(pickle.dumps(whole.rows(rows)))[:], array[rows])  # noqa: S301
    assert np.array_equal(whole[24], array[24])
    assert len(inputs) == 20


def test_inputs_of_another_shape_are_not_appended(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"inputs of \(4,\) cannot follow those of \(6, 10\)"):
        stored(tmp_path, FLOATS).appended(np.zeros((2, 4), np.float32))


def test_reading_does_not_need_the_memory_of_the_file(tmp_path: Path) -> None:
    row = np.zeros((64, 1, 256, 1024), np.uint8)  # 16 MB
    inputs = store_inputs(tmp_path / "large.npy", (row for _ in range(8)))  # 128 MB

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    inputs[[0]]
    before = resident()
    grown = 0
    for batch in batches_of(inputs, 4):  # 4 MB each
        assert not batch.any()
        grown = max(grown, resident() - before)

    assert grown < 40_000_000
