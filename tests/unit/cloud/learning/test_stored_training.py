"""A training whose inputs and views stay on disk learns what a training in memory learns."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nestling_cloud.learning.distillation import augmented_views, view_tensors
from nestling_cloud.learning.pipeline import LearnedTask, learn
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Examples, Splits, store_inputs
from tests.support.tiny_task import TINY_TASK, tiny_splits


def learned(splits: Splits) -> LearnedTask:
    return learn(TINY_TASK, splits, seed=0, progress=SilentProgress())


@pytest.fixture(scope="module")
def in_memory() -> LearnedTask:
    return learned(tiny_splits())


def stored(examples: Examples, path: Path) -> Examples:
    inputs = store_inputs(path, [np.asarray(examples.inputs)])
    return Examples(inputs=inputs, labels=examples.labels, lengths=examples.lengths)


def test_same_bundle_is_learned_from_inputs_and_views_on_disk(
    in_memory: LearnedTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_tensors, "MOST_IN_MEMORY", 0)
    splits = tiny_splits()
    on_disk = Splits(
        train=stored(splits.train, tmp_path / "train.npy"),
        calibration=stored(splits.calibration, tmp_path / "calibration.npy"),
        test=splits.test,
    )

    found = learned(on_disk)

    for name, array in in_memory.checkpoint.items():
        assert np.array_equal(found.checkpoint[name], array), name
    assert [one.ring for one in found.capacities] == [one.ring for one in in_memory.capacities]
    assert [one.template for one in found.capacities] == [
        one.template for one in in_memory.capacities
    ]
    assert np.array_equal(found.golden_inputs, in_memory.golden_inputs)


def test_large_copies_are_augmented_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmented_views, "_WHOLE_BYTES", 0)
    monkeypatch.setattr(augmented_views, "_PART_BYTES", 100 * 4 * 2 * 16)
    examples, sizes = tiny_splits().train, []

    copies = augmented_views.augmented_copies(
        lambda inputs, _: sizes.append(len(inputs)) or 2 * inputs,  # type: ignore[func-returns-value]
        examples,
        torch.Generator(),
        views=2,
    )

    assert sizes == 2 * [100, 100, 100, 100, 100, 12]
    assert np.array_equal(copies[1][:].numpy(), 2 * examples.inputs[:])
