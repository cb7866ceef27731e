from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nestling_device.federated.examples import ExamplesError, read_examples, split

SHAPE = (2, 4)
WINDOWS = np.arange(10 * 8, dtype=np.float32).reshape(10, *SHAPE)
LABELS = np.zeros(10, np.int64)


def write(folder: Path, **arrays: Any) -> Path:
    path = folder / "mine.npz"
    np.savez(path, **arrays)
    return path


def test_last_fifth_of_every_stretch_is_held_out_with_a_gap_of_one_window() -> None:
    labels = np.array([0] * 10 + [1] * 5 + [0] * 3)
    windows = np.arange(18, dtype=np.float32).reshape(18, 1, 1)

    found = split(windows, labels)

    assert found.inputs.flatten().tolist() == [*range(7), 10, 11, 12, 15, 16, 17]
    assert found.held_out_inputs.flatten().tolist() == [8, 9, 14]
    assert found.labels.tolist() == [0] * 7 + [1] * 3 + [0] * 3
    assert found.held_out_labels.tolist() == [0, 0, 1]


def test_stretches_too_short_to_split_are_trained_on() -> None:
    found = split(WINDOWS[:4], np.array([0, 1, 0, 1]))

    assert len(found.inputs) == 4
    assert found.held_out_inputs.shape == (0, *SHAPE)


@pytest.mark.parametrize("classes", [2, 3])
def test_last_fifth_of_every_class_is_held_out_if_labels_alternate(classes: int) -> None:
    labels = np.arange(10 * classes) % classes
    windows = np.arange(10 * classes, dtype=np.float32).reshape(-1, 1, 1)

    found = split(windows, labels)

    border = 8 * classes
    assert found.held_out_inputs.flatten().tolist() == [*range(border, 10 * classes)]
    assert found.held_out_labels.tolist() == [*range(classes)] * 2
    assert found.inputs.flatten().tolist() == [
        *range(border - 1)
    ]  # one window lies between the parts
    assert set(found.labels.tolist()) == set(range(classes))


def test_class_without_a_long_stretch_is_held_out_too() -> None:
    labels = np.array([0] * 10 + [1, 0] * 5)

    found = split(np.zeros((20, 1, 1), np.float32), labels)

    assert sorted(found.held_out_labels.tolist()) == [0, 0, 1]


def test_parts_share_no_window_and_have_a_gap_before_each_held_out_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        labels = rng.integers(0, 4, rng.integers(2, 60))
        places = np.arange(len(labels), dtype=np.float32).reshape(-1, 1, 1)

        found = split(places, labels)

        learned, judged = (set(part.flatten()) for part in (found.inputs, found.held_out_inputs))
        assert not learned & (judged | {place - 1 for place in judged})
        counts = np.bincount(labels, minlength=4)
        assert set(found.held_out_labels) == set(np.flatnonzero(counts >= 5))


def test_file_of_windows_and_labels_is_read(tmp_path: Path) -> None:
    found = read_examples(write(tmp_path, windows=WINDOWS, labels=LABELS), SHAPE, classes=1)

    assert len(found.labels) + len(found.held_out_labels) == 9


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no labels": ({"windows": WINDOWS}, "windows and labels"),
    "pickled": ({"windows": WINDOWS, "labels": np.array([{}], dtype=object)}, "not a readable"),
    "double": ({"windows": WINDOWS.astype(float), "labels": LABELS}, "float32 .N, 2, 4"),
    "other shape": ({"windows": WINDOWS[:, :1], "labels": LABELS}, "float32 .N, 2, 4"),
    "no window": ({"windows": WINDOWS[:0], "labels": LABELS[:0]}, "0 examples; at least 2"),
    "no axes": ({"windows": np.float32(1), "labels": LABELS}, "float32 .N, 2, 4"),
    "one window": ({"windows": WINDOWS[:1], "labels": LABELS[:1]}, "1 examples; at least 2"),
    "not finite": ({"windows": WINDOWS - np.inf, "labels": LABELS}, "not finite"),
    "fewer labels": ({"windows": WINDOWS, "labels": LABELS[1:]}, r"int64 \(10,\) is needed"),
    "real labels": ({"windows": WINDOWS, "labels": LABELS * 1.0}, r"int64 \(10,\) is needed"),
    "large label": ({"windows": WINDOWS, "labels": LABELS + 3}, "labels outside 0 to 2"),
    "negative label": ({"windows": WINDOWS, "labels": LABELS - 1}, "labels outside 0 to 2"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_unusable_examples_are_refused(fault: str, tmp_path: Path) -> None:
    arrays, message = FAULTS[fault]

    with pytest.raises(ExamplesError, match=message):
        read_examples(write(tmp_path, **arrays), SHAPE, classes=3)


def test_file_that_is_not_an_npz_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("windows")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "alone.npz.npy", WINDOWS)
    whole = write(tmp_path, windows=WINDOWS, labels=LABELS).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:-100])

    for name in ("text.npz", "empty.npz", "alone.npz.npy", "cut.npz"):
        with pytest.raises(ExamplesError, match=r"not a readable \.npz file with"):
            read_examples(tmp_path / name, SHAPE, classes=3)


def test_file_that_cannot_be_opened_is_refused_with_the_systems_reason(tmp_path: Path) -> None:
    with pytest.raises(ExamplesError, match=r"missing\.npz: No such file or directory; name"):
        read_examples(tmp_path / "missing.npz", SHAPE, classes=3)
    with pytest.raises(ExamplesError, match="Is a directory"):
        read_examples(tmp_path, SHAPE, classes=3)
