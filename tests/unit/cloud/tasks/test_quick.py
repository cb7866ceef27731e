from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from nestling_cloud.bundles.fingerprint import fingerprint
from nestling_cloud.tasks import Distillation, Examples, Recipe, Splits, quick_task
from nestling_cloud.tasks.sample import CALIBRATION, TRAIN, sample, spread
from tests.support.tiny_task import TINY_TASK, tiny_splits, tones


def test_quick_task_trains_for_few_epochs_on_few_views_and_says_so() -> None:
    thorough = replace(
        TINY_TASK,
        student_recipe=Recipe(epochs=20, patience=5),
        distillation=Distillation(assistants=(8, 4)),
    )

    quick = quick_task(thorough)

    assert quick.quick
    assert quick.teacher_recipe is not None
    assert quick.teacher_recipe.epochs <= 3
    assert (quick.student_recipe.epochs, quick.student_recipe.patience) == (1, 0)
    assert (quick.distillation.views, quick.distillation.assistants) == (2, ())
    assert quick.student == thorough.student
    assert quick_task(quick) is quick


def test_trained_teacher_and_shorter_recipes_stay() -> None:
    short = replace(TINY_TASK, teacher_recipe=None, student_recipe=Recipe(epochs=1))

    quick = quick_task(short)

    assert quick.teacher_recipe is None
    assert quick.student_recipe.epochs == 1


def test_quick_task_loads_a_sample_and_the_plain_task_everything() -> None:
    task = replace(TINY_TASK, load=lambda _folder, _seed: large())

    assert len(task.load_checked(None, 0).train) == 9000
    found = quick_task(task).load_checked(None, 0)
    assert TRAIN <= len(found.train) <= TRAIN + 3
    assert CALIBRATION <= len(found.calibration) <= CALIBRATION + 3
    assert len(found.test[0]) == 20


def large() -> Splits:
    splits = tiny_splits()
    return Splits(train=tones(9000, 1), calibration=tones(4000, 2), test=splits.test)


def test_sample_keeps_the_classes_in_proportion_and_in_order() -> None:
    labels = np.repeat([0, 1, 2], [6000, 2995, 5])

    chosen = spread(labels, 900)

    assert Counter(labels[chosen].tolist()) == {0: 600, 1: 300, 2: 1}
    assert np.array_equal(chosen, np.unique(chosen))
    assert len(spread(np.zeros((500, 3), bool), 100)) == 100


def test_calibration_recordings_are_kept_whole() -> None:
    lengths = [100, 300] * 20
    calibration = replace(tones(8000, 3), lengths=lengths)

    found = sample(Splits(train=tones(10, 0), calibration=calibration, test=[])).calibration

    assert 2 <= len(found.lengths) < 12
    assert sum(found.lengths) == len(found)
    starts = np.cumsum([0, *lengths[:-1]])
    first = found.inputs[: found.lengths[0]]
    assert any(np.array_equal(calibration.inputs[at : at + len(first)], first) for at in starts)


def test_small_data_stay_whole() -> None:
    splits = tiny_splits()

    found = sample(splits)

    assert found.train is splits.train
    assert isinstance(found.calibration, Examples)
    assert found.calibration is splits.calibration


def test_quick_bundle_is_cached_apart(tmp_path: Path) -> None:
    splits = tiny_splits()
    marked = replace(TINY_TASK, quick=True)

    assert fingerprint(TINY_TASK, splits, 0) != fingerprint(marked, splits, 0)
