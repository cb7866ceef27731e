from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import pytest

from nestling_cloud.learning.loop import TrainingError
from nestling_cloud.learning.routing import Design, Estimator, beliefs, fit_multiplexer
from nestling_cloud.learning.routing.fit_multiplexer import RECIPE
from nestling_cloud.progress import SilentProgress
from tests.support.loudness_task import Hardness, better_larger_one, loud_and_quiet


@pytest.fixture(scope="module")
def known() -> Hardness:
    return loud_and_quiet(1200, seed=0)


@pytest.fixture(scope="module")
def multiplexer(known: Hardness) -> Estimator:
    return fit_multiplexer(known.data, seed=0, progress=SilentProgress(), design=Design())


def test_multiplexer_predicts_hard_inputs_and_the_accuracy_of_the_cloud(
    multiplexer: Estimator,
) -> None:
    unseen = loud_and_quiet(400, seed=1)

    believed = beliefs(multiplexer, unseen.data)

    assert believed.shape == (2, 400, 3)
    for ran in believed:
        assert ran[unseen.loud, 0].mean() < 0.35
        assert ran[~unseen.loud, 0].mean() > 0.7
        assert ran[:, 2].mean() == pytest.approx(0.9, abs=0.1)


def test_mean_predictions_match_accuracies_whichever_capacity_ran(
    known: Hardness,
) -> None:
    multiplexer = fit_multiplexer(
        better_larger_one(known.data), seed=0, progress=SilentProgress(), design=Design()
    )
    unseen = loud_and_quiet(400, seed=1)

    first, second = beliefs(multiplexer, better_larger_one(unseen.data))

    # Capacity 1 is wrong on loud inputs, and not confident; capacity 2 answers like the cloud, and
    # its logits do not show which inputs those are.
    assert first[unseen.loud, 0].mean() < 0.35
    assert first[~unseen.loud, 0].mean() > 0.7
    small = unseen.data.right[:, 0].mean()
    for ran in (first, second):
        assert ran.mean(0) == pytest.approx([small, 0.9, 0.9], abs=0.08)
    assert np.ptp(second[:, 0]) < 0.3


def test_same_seed_gives_the_same_multiplexer(known: Hardness, multiplexer: Estimator) -> None:
    again = fit_multiplexer(known.data, seed=0, progress=SilentProgress(), design=Design())
    other = fit_multiplexer(known.data, seed=1, progress=SilentProgress(), design=Design())

    expected = beliefs(multiplexer, known.data)
    assert np.array_equal(expected, beliefs(again, known.data))
    assert not np.array_equal(expected, beliefs(other, known.data))


def test_too_few_inputs_to_fit_on_are_refused(known: Hardness) -> None:
    with pytest.raises(TrainingError, match="multiplexer: 0 examples are too few"):
        fit_multiplexer(
            known.data.part(np.arange(0)), seed=0, progress=SilentProgress(), design=Design()
        )


T = TypeVar("T")


class CountingProgress(SilentProgress):
    """Counts the epochs."""

    def __init__(self) -> None:
        self.epochs = 0

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        for item in super().track(items, total, what):
            self.epochs += 1
            yield item


@pytest.mark.parametrize("count", [10, 50, 1200])
def test_network_is_trained_for_enough_steps_however_few_the_inputs_are(
    known: Hardness, count: int
) -> None:
    progress = CountingProgress()
    few = known.data.part(np.arange(count))

    fit_multiplexer(few, seed=0, progress=progress, design=Design())

    steps_per_epoch = max(1, few.capacities * count // RECIPE.batch)
    assert progress.epochs * steps_per_epoch >= 600
    assert progress.epochs >= RECIPE.epochs


def test_network_fitted_on_few_inputs_tells_easy_inputs_from_hard_ones(known: Hardness) -> None:
    few = known.data.part(np.arange(80))
    unseen = loud_and_quiet(400, seed=1)

    fitted = fit_multiplexer(few, seed=0, progress=SilentProgress(), design=Design())

    found = beliefs(fitted, unseen.data)[0, :, 0]
    assert found[~unseen.loud].mean() > found[unseen.loud].mean() + 0.4
