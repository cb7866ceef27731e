"""Labeled inputs of devices are trained on, and never become calibration or test inputs."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling_cloud.bundles.fingerprint import fingerprint
from nestling_cloud.inputs.added_training import with_folders
from nestling_cloud.inputs.input_folder import InputFolderError
from nestling_cloud.tasks import Examples, Splits, StoredInputs, concatenate, store_inputs
from tests.support.tiny_task import TINY_TASK, tiny_splits, tones

OWN = tiny_splits()
FRESH = tones(6, 99)


def write(
    folder: Path,
    inputs: Sequence[NDArray[np.float32]],
    labels: Sequence[str],
    groups: Sequence[str],
) -> Path:
    """Write a folder of inputs as an export does."""
    folder.mkdir()
    lines = ["file,label,group"]
    for number, (values, label, group) in enumerate(zip(inputs, labels, groups, strict=True)):
        np.save(folder / f"{number}.npy", values)
        lines.append(f"{number}.npy,{label},{group}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def names(examples: Examples) -> list[str]:
    return [TINY_TASK.signature.classes[label] for label in examples.labels]


def test_inputs_are_added_to_the_training_data_alone(tmp_path: Path) -> None:
    folder = write(tmp_path / "march", list(FRESH.inputs), names(FRESH), ["a", "b"] * 3)

    splits, (entry,) = with_folders(TINY_TASK, OWN, [folder])

    assert len(splits.train) == len(OWN.train) + 6
    assert np.array_equal(splits.train.inputs[-6:], FRESH.inputs)
    assert np.array_equal(splits.train.labels[-6:], FRESH.labels)
    assert np.array_equal(splits.train.inputs[:-6], OWN.train.inputs)
    assert splits.calibration is OWN.calibration
    assert splits.test is OWN.test
    assert entry.text() == f"{folder}: 6 inputs of 2 devices are trained on"
    assert fingerprint(TINY_TASK, splits, 0) != fingerprint(TINY_TASK, OWN, 0)


def test_training_data_of_a_file_stays_there(tmp_path: Path) -> None:
    stored = store_inputs(tmp_path / "own.npy", [OWN.train.inputs[:]])
    own = dataclasses.replace(OWN, train=dataclasses.replace(OWN.train, inputs=stored))
    folder = write(tmp_path / "march", list(FRESH.inputs), names(FRESH), ["a"] * 6)

    splits, _ = with_folders(TINY_TASK, own, [folder])

    assert isinstance(splits.train.inputs, StoredInputs)
    assert np.array_equal(splits.train.inputs[:], np.concatenate([stored[:], FRESH.inputs[:]]))
    assert fingerprint(TINY_TASK, splits, 0) == fingerprint(
        TINY_TASK, with_folders(TINY_TASK, OWN, [folder])[0], 0
    )


def test_without_folders_the_data_is_as_it_was() -> None:
    splits, added = with_folders(TINY_TASK, OWN, [])

    assert added == []
    assert fingerprint(TINY_TASK, splits, 0) == fingerprint(TINY_TASK, OWN, 0)


def test_repeated_and_unlabeled_inputs_are_left_out_and_counted(tmp_path: Path) -> None:
    labels = [*names(FRESH)[:3], "", "", ""]
    first = write(tmp_path / "march", list(FRESH.inputs), labels, ["a"] * 6)
    second = write(tmp_path / "april", list(FRESH.inputs), names(FRESH), ["a"] * 6)

    splits, added = with_folders(TINY_TASK, OWN, [first, second])

    assert len(splits.train) == len(OWN.train) + 6
    assert [(entry.added, entry.unlabeled, entry.repeated) for entry in added] == [
        (3, 3, 0),
        (3, 0, 3),
    ]
    assert "left out: 3 without a label" in added[0].text()


@pytest.mark.parametrize("wire_error", [0.0, 0.05])
def test_inputs_of_calibration_and_test_are_never_trained_on(
    tmp_path: Path, wire_error: float
) -> None:
    held = [OWN.test[1].inputs[4], OWN.calibration.inputs[7]]
    sent = [(values + wire_error).astype(np.float32) for values in held]
    folder = write(
        tmp_path / "march", [*sent, FRESH.inputs[0]], [*["low"] * 2, "low"], ["a", "b", "c"]
    )

    splits, (entry,) = with_folders(TINY_TASK, OWN, [folder])

    assert len(splits.train) == len(OWN.train) + 1
    assert (entry.added, entry.held_out) == (1, 2)
    assert "2 that are, or whose device is, in the calibration or test data" in entry.text()


def test_devices_that_are_held_out_are_never_trained_on(tmp_path: Path) -> None:
    own = dataclasses.replace(OWN, held_out=frozenset({"b"}))
    folder = write(tmp_path / "march", list(FRESH.inputs), names(FRESH), ["a", "b"] * 3)

    splits, (entry,) = with_folders(TINY_TASK, own, [folder])

    assert np.array_equal(splits.train.inputs[len(OWN.train) :], FRESH.inputs[::2])
    assert (entry.added, entry.devices, entry.held_out) == (3, 1, 3)


def test_added_inputs_are_recordings_of_their_own(tmp_path: Path) -> None:
    own = Splits(
        train=concatenate([tones(5, 1), tones(7, 2)]), calibration=OWN.calibration, test=OWN.test
    )
    folder = write(tmp_path / "march", list(FRESH.inputs), names(FRESH), ["a"] * 6)

    splits, _ = with_folders(TINY_TASK, own, [folder])

    assert list(splits.train.lengths) == [5, 7, 1, 1, 1, 1, 1, 1]


def test_folder_that_adds_nothing_is_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path / "march", [OWN.test[0].inputs[0]], ["low"], ["a"])

    with pytest.raises(InputFolderError, match=r"0 inputs of 0 devices.*leave this folder out"):
        with_folders(TINY_TASK, OWN, [folder])
    empty = write(tmp_path / "empty", [], [], [])
    with pytest.raises(InputFolderError, match="0 inputs of 0 devices"):
        with_folders(TINY_TASK, OWN, [empty])
