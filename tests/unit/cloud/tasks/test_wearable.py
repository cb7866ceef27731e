import hashlib
import importlib.util
import itertools
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nestling_cloud.tasks import DataMissingError, Examples, Splits, TaskError, concatenate
from nestling_cloud.tasks.wearable import STREAM_HOP, TASK, TRAIN_HOP, WINDOW, load_sides

FILE = "watch_dataset.npy"


@pytest.fixture(scope="module")
def splits() -> Splits:
    return TASK.load_checked(None, 0)


@pytest.fixture(scope="module")
def recordings() -> dict[str, Any]:
    spec = importlib.util.find_spec("seglearn")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "data" / FILE
    data: dict[str, Any] = np.load(path, allow_pickle=True).item()
    return data


@pytest.fixture(scope="module")
def subject_of(recordings: dict[str, Any]) -> dict[bytes, int]:
    """Map the digest of every window that starts at a multiple of the smallest hop to a subject."""
    found = {}
    for samples, subject in zip(recordings["X"], recordings["subject"], strict=True):
        for start in range(0, len(samples) - WINDOW + 1, TRAIN_HOP):
            found[_digest(samples[start : start + WINDOW].T)] = int(subject)
    return found


def _digest(window: np.ndarray[Any, Any]) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(window, np.float32).tobytes()).digest()


def subjects(examples: Examples, subject_of: dict[bytes, int]) -> set[int]:
    return {subject_of[_digest(window)] for window in examples.inputs}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_subject_is_in_two_splits(seed: int, subject_of: dict[bytes, int]) -> None:
    splits = TASK.load(None, seed)

    parts = (splits.train, splits.calibration, concatenate(splits.test))
    train, calibration, test = (subjects(part, subject_of) for part in parts)

    assert (len(train), len(calibration), len(test)) == (5, 2, 3)
    assert len(train | calibration | test) == 10


def test_every_test_recording_has_one_subject_and_one_exercise(
    splits: Splits, subject_of: dict[bytes, int]
) -> None:
    for recording in splits.test:
        assert len(subjects(recording, subject_of)) == 1
        assert len(set(recording.labels.tolist())) == 1


def test_calibration_halves_are_of_different_subjects(
    splits: Splits, subject_of: dict[bytes, int]
) -> None:
    order = [subject_of[_digest(window)] for window in splits.calibration.inputs]

    changes = sum(a != b for a, b in itertools.pairwise(order))
    assert changes == 1  # first one subject's windows, then the other's


def recordings_of(examples: Examples) -> list[Examples]:
    ends = np.cumsum(examples.lengths)[:-1]
    parts = zip(np.split(examples.inputs, ends), np.split(examples.labels, ends), strict=True)
    return [Examples(inputs=inputs, labels=labels) for inputs, labels in parts]


@pytest.mark.parametrize(("part", "hop"), [("train", TRAIN_HOP), ("calibration", STREAM_HOP)])
def test_each_recording_is_one_subjects_exercise_at_one_hop(
    splits: Splits, subject_of: dict[bytes, int], part: str, hop: int
) -> None:
    examples: Examples = getattr(splits, part)

    for recording in recordings_of(examples):
        assert len(subjects(recording, subject_of)) == 1
        assert len(set(recording.labels.tolist())) == 1
        for before, after in itertools.pairwise(recording.inputs):
            assert np.array_equal(before[:, hop:], after[:, : WINDOW - hop])


def test_calibration_windows_are_as_far_apart_as_those_of_a_devices_stream(
    splits: Splits,
) -> None:
    for recording in splits.test:
        for before, after in itertools.pairwise(recording.inputs):
            assert np.array_equal(before[:, STREAM_HOP:], after[:, : WINDOW - STREAM_HOP])


def test_calibration_has_two_streams_of_each_recording_half_a_hop_apart(splits: Splits) -> None:
    recordings = recordings_of(splits.calibration)

    for first, second in zip(recordings[::2], recordings[1::2], strict=True):
        apart = STREAM_HOP // 2
        assert np.array_equal(first.inputs[0][:, apart:], second.inputs[0][:, : WINDOW - apart])
        assert 0 <= len(first) - len(second) <= 1


def test_recordings_of_one_side_stay_recordings() -> None:
    sides = load_sides(None, 0)

    for part in (sides.source, sides.target, sides.calibration, sides.test):
        assert sum(part.lengths) == len(part)
        assert len(part.lengths) > 5


def test_channels_are_in_the_order_of_the_recording(
    splits: Splits, recordings: dict[str, Any]
) -> None:
    first = splits.test[0].inputs[0]

    matches = [
        index
        for index, samples in enumerate(recordings["X"])
        if np.array_equal(samples[:WINDOW].T.astype(np.float32), first)
    ]
    assert len(matches) == 1
    assert int(recordings["y"][matches[0]]) == splits.test[0].labels[0]


def test_gravity_is_in_the_accelerations(splits: Splits) -> None:
    length = np.linalg.norm(splits.train.inputs[:, :3], axis=1)

    assert np.median(length) == pytest.approx(1.0, abs=0.2)  # the signature's unit is g
    assert list(TASK.signature.units) == ["g"] * 3 + ["rad/s"] * 3


def test_seed_determines_the_split_of_subjects(splits: Splits) -> None:
    again, other = TASK.load(None, 0), TASK.load(None, 1)

    assert np.array_equal(splits.train.inputs, again.train.inputs)
    assert not np.array_equal(splits.train.inputs[:100], other.train.inputs[:100])


def test_every_exercise_is_in_every_split(splits: Splits) -> None:
    for part in (splits.train, splits.calibration, concatenate(splits.test)):
        assert set(part.labels.tolist()) == set(range(len(TASK.signature.classes)))


class Bomb:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def test_file_with_another_digest_is_refused_without_opening_it(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    content = pickle.dumps(Bomb(mark))
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(TaskError, match="it was not opened"):
        TASK.load(tmp_path, 0)

    assert not mark.exists()
    pickle.loads(content)  # noqa: S301  # our own: shows that loading does create the file
    assert mark.exists()


def test_folder_without_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=f"{FILE}: .*--data-dir"):
        TASK.load(tmp_path, 0)


def test_without_seglearn_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    monkeypatch.delitem(sys.modules, "seglearn", raising=False)

    with pytest.raises(DataMissingError, match="pip install 'nestling\\[train\\]'"):
        TASK.load(None, 0)


def test_augmentation_keeps_shape_and_changes_values(splits: Splits) -> None:
    inputs = torch.from_numpy(splits.train.inputs[:64])

    augmented = TASK.augment(inputs, torch.Generator().manual_seed(0))

    assert augmented.shape == inputs.shape
    assert torch.isfinite(augmented).all()
    # The change is like a watch worn differently, not like another exercise.
    similarity = torch.cosine_similarity(augmented.flatten(1), inputs.flatten(1))
    assert 0.5 < similarity.mean().item() < 0.999
