"""The number of inputs that count as one observation is measured on recordings."""

import numpy as np
import pytest

from nestling_cloud.learning.routing.data import Bools
from nestling_cloud.learning.routing.dependence_length import (
    FEWEST_RECORDINGS,
    LENGTHS,
    KeptAnswers,
    dependence_length,
)

RECORDINGS, LENGTH = 200, 30
COUNT = RECORDINGS * LENGTH


def answers(changed: Bools, lengths: list[int] | None = None) -> KeptAnswers:
    """Return ten thresholds, of which each keeps more inputs, at random."""
    score = np.random.default_rng(7).random(len(changed))
    kept = score <= np.linspace(0.1, 1, 10)[:, None]
    if lengths is None:
        lengths = [LENGTH] * (len(changed) // LENGTH)
    return KeptAnswers(kept=kept, changed=np.broadcast_to(changed, kept.shape), lengths=lengths)


def in_bursts(length: int, share: float = 0.1) -> Bools:
    """Return changes that come in bursts of a fixed length."""
    rng = np.random.default_rng(0)
    changed: Bools = np.repeat(rng.random(COUNT // length) < share, length)
    return changed


def test_independent_inputs_are_one_observation_each() -> None:
    assert dependence_length([[answers(in_bursts(10), lengths=[])]]) == 1
    assert dependence_length([]) == 1


def test_recordings_of_independent_inputs_count_nearly_one_by_one() -> None:
    assert dependence_length([[answers(in_bursts(1))]]) <= 5


def test_longer_bursts_need_longer_blocks() -> None:
    found = [dependence_length([[answers(in_bursts(length))]]) for length in (1, 5, 30)]

    assert found == sorted(set(found))
    assert found[-1] >= 20
    assert set(found) <= set(LENGTHS)


def test_result_is_the_largest_of_all_curves_and_the_same_each_time() -> None:
    apart, bursts = answers(in_bursts(1)), answers(in_bursts(10))
    alone = dependence_length([[bursts]])

    assert alone > dependence_length([[apart]])
    assert dependence_length([[apart], [bursts]]) == alone
    assert dependence_length([[bursts], [apart]]) == alone


def test_parts_count_together() -> None:
    changed = in_bursts(10)
    half = COUNT // 2
    whole = answers(changed)
    parts = [
        KeptAnswers(
            kept=whole.kept[:, part],
            changed=whole.changed[:, part],
            lengths=[LENGTH] * (RECORDINGS // 2),
        )
        for part in (slice(half), slice(half, None))
    ]

    assert dependence_length([parts]) == dependence_length([[whole]])


@pytest.mark.parametrize("recordings", [1, FEWEST_RECORDINGS - 1])
def test_too_few_recordings_give_the_largest_length(recordings: int) -> None:
    changed = in_bursts(1)
    lengths = [COUNT // recordings] * recordings

    used = answers(changed[: sum(lengths)], lengths)

    assert dependence_length([[used]]) == LENGTHS[-1]


def test_without_changes_the_largest_length_is_taken_unless_another_curve_has_some() -> None:
    never, bursts = answers(np.zeros(COUNT, np.bool_)), answers(in_bursts(1))

    assert dependence_length([[never]]) == LENGTHS[-1]
    assert dependence_length([[never], [bursts]]) == dependence_length([[bursts]])
