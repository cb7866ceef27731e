import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from nestling_core.belief.evidence import calibrated, softmax

Floats = NDArray[np.float32]

_classes = st.integers(2, 12)
# Every finite float32, also the largest.
_logits = _classes.flatmap(
    lambda classes: arrays(np.float32, classes, elements=st.floats(allow_nan=False, width=32))
).filter(lambda logits: bool(np.isfinite(logits).all()))
_right = st.floats(0, 1)


@given(_logits)
def test_softmax_of_any_finite_logits_is_a_distribution(logits: Floats) -> None:
    found = softmax(logits)

    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    assert found[logits.argmax()] == found.max()


@given(_logits, _right)
def test_evidence_is_a_distribution_that_excludes_no_class(logits: Floats, right: float) -> None:
    found = calibrated(logits, np.array(right))

    assert found.sum() == pytest.approx(1)
    assert (found > 0).all()
    assert (found < 1).all()


@given(_logits, _right)
def test_capacitys_answer_stays_the_most_probable_class(logits: Floats, right: float) -> None:
    assert calibrated(logits, np.array(right)).argmax() == logits.argmax()


def test_capacitys_answer_has_the_given_probability_and_the_others_share_the_rest() -> None:
    logits = np.log(np.array([0.1, 0.6, 0.3]))

    found = calibrated(logits, np.array(0.8))

    assert found == pytest.approx([0.05, 0.8, 0.15], abs=1e-4)


def test_tied_classes_are_told_apart_only_by_the_capacitys_answer() -> None:
    found = calibrated(np.zeros(4, np.float32), np.array(0.7))

    assert found == pytest.approx([0.7, 0.1, 0.1, 0.1])


@given(st.integers(0, 2**32 - 1))
def test_inputs_are_judged_alike_alone_and_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = (5 * rng.normal(size=(4, 3, 7))).astype(np.float32)
    right = rng.random((4, 3)).astype(np.float32)

    together = calibrated(logits, right)

    each = zip(logits.reshape(-1, 7), right.ravel(), strict=True)
    alone = [calibrated(one, np.array(sure)) for one, sure in each]
    assert np.array_equal(together.reshape(-1, 7), np.stack(alone))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_logit_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="the logits are not finite"):
        softmax(np.array([[0.0, 1.0], [bad, 1.0]], np.float32))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_success_probability_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="the success probabilities are not finite"):
        calibrated(np.array([0.0, 1.0], np.float32), np.array(bad))
