import numpy as np
import pytest
from tests.loudness import SIGNATURE, Hardness, loud_and_quiet

from nestling_cloud.progress import Silent
from nestling_cloud.routing import Router, acceptance, beliefs, believed_right, fit_router
from nestling_cloud.training import TrainingError


@pytest.fixture(scope="module")
def known() -> Hardness:
    return loud_and_quiet(1200, seed=0)


@pytest.fixture(scope="module")
def router(known: Hardness) -> Router:
    return fit_router(SIGNATURE, known.data, seed=0, progress=Silent())


def test_multiplexer_sees_before_a_student_runs_which_inputs_are_hard(router: Router) -> None:
    unseen = loud_and_quiet(400, seed=1)

    believed = believed_right(router.multiplexer, unseen.data.inputs)

    assert believed.shape == (400, 3)
    assert believed[unseen.loud, 0].mean() < 0.35
    assert believed[~unseen.loud, 0].mean() > 0.7
    assert believed[:, 2].mean() == pytest.approx(0.9, abs=0.1)


def test_accept_head_tells_device_and_cloud_apart(router: Router) -> None:
    unseen = loud_and_quiet(400, seed=1)
    believed = believed_right(router.multiplexer, unseen.data.inputs)

    accepted = acceptance(router.accept_head, unseen.data.logits[1], believed, capacity=2)

    assert accepted.shape == (400, 3)
    gain = accepted[:, 2] - accepted[:, 1]
    assert gain[unseen.loud].mean() > 0.4
    assert gain[~unseen.loud].mean() < 0.15


def test_acceptance_weighs_what_was_believed_before(router: Router, known: Hardness) -> None:
    logits = known.data.logits[1, :20]
    believed = np.full((20, 3), 0.5, np.float32)
    before = acceptance(router.accept_head, logits, believed, capacity=2)

    for option in range(3):
        changed = believed.copy()
        changed[:, option] = 0.9
        assert not np.allclose(before, acceptance(router.accept_head, logits, changed, capacity=2))


def test_router_is_the_same_for_the_same_seed(known: Hardness, router: Router) -> None:
    inputs = known.data.inputs[:50]

    again = fit_router(SIGNATURE, known.data, seed=0, progress=Silent())
    other = fit_router(SIGNATURE, known.data, seed=1, progress=Silent())

    expected = believed_right(router.multiplexer, inputs)
    assert np.array_equal(expected, believed_right(again.multiplexer, inputs))
    assert not np.array_equal(expected, believed_right(other.multiplexer, inputs))


def test_too_few_inputs_to_fit_on_are_refused(known: Hardness) -> None:
    with pytest.raises(TrainingError, match="multiplexer: 1 examples are too few"):
        fit_router(SIGNATURE, known.data.part(np.arange(1)), seed=0, progress=Silent())


@pytest.mark.parametrize("size", [0.0, 1e6, 1e30])
def test_fitted_multiplexer_answers_extreme_inputs_with_probabilities(
    router: Router, size: float
) -> None:
    believed = believed_right(router.multiplexer, np.full((2, 1, 16), size, np.float32))

    assert ((believed >= 0) & (believed <= 1)).all()


def test_beliefs_are_those_before_and_after_each_capacity(router: Router, known: Hardness) -> None:
    found = beliefs(router, known.data)

    before = believed_right(router.multiplexer, known.data.inputs)
    assert np.array_equal(found.before, before)
    for capacity in (1, 2):
        after = acceptance(
            router.accept_head, known.data.logits[capacity - 1], before, capacity=capacity
        )
        assert np.array_equal(found.after[capacity - 1], after)
