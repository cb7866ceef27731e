"""Each threshold's belief is what a device with this threshold would believe."""

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import AuditedThreshold, StreamFilter
from nestling_core.belief import belief_filter
from nestling_core.guarantee import shadow_beliefs

FILTER = StreamFilter(stay=0.9, reread=0.1, misread=0.2, weight=0.5, doubt=0.05)
CLASSES, COUNT = 4, 60
ACCEPT = (-0.2, 0.0, 0.1, 1.0)
ROWS = shadow_beliefs.row_thresholds([AuditedThreshold(accept_threshold=one) for one in ACCEPT])


def outputs(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the outputs of a student and of a cloud, and how likely the cloud is right."""
    rng = np.random.default_rng(seed)
    student, cloud = rng.dirichlet(np.full(CLASSES, 0.5), (2, COUNT))
    return student, cloud, rng.uniform(0.5, 1, COUNT)


def alone(threshold: float, seed: int) -> tuple[list[bool], list[int], list[int]]:
    """Replay one threshold by itself: what is kept, the answers, and those after the cloud's."""
    student, cloud, right = outputs(seed)
    belief = belief_filter.unknown(FILTER, CLASSES)
    kept, answers, told = [], [], []
    for evidence, answer, cloud_right in zip(student, cloud, right, strict=True):
        belief = belief_filter.after_run(FILTER, belief, evidence)
        sure = belief_filter.probabilities(belief)
        heard = belief_filter.after_answer(FILTER, belief, answer)
        kept.append(bool(cloud_right - sure.max() <= threshold))
        answers.append(int(sure.argmax()))
        told.append(int(belief_filter.probabilities(heard).argmax()))
        belief = belief if kept[-1] else heard
    return kept, answers, told


def test_first_row_sends_every_input() -> None:
    judged = shadow_beliefs.judge(np.full((len(ROWS), CLASSES), 0.25), 0.3, ROWS)

    assert ROWS.tolist() == [-np.inf, *ACCEPT]
    assert judged.kept.tolist() == [False, False, False, True, True]
    assert not shadow_beliefs.judge(np.eye(CLASSES)[[0] * 5], 0.0, ROWS).kept[0]


def test_gain_equal_to_the_threshold_keeps_the_answer() -> None:
    sure = np.array([[0.75, 0.25], [0.75, 0.25]])

    judged = shadow_beliefs.judge(sure, 1.0, np.array([0.25, np.nextafter(0.25, 0)]))

    assert judged.kept.tolist() == [True, False]


@pytest.mark.parametrize("seed", range(5))
def test_rows_are_separate_replays_while_every_input_is_asked(seed: int) -> None:
    student, cloud, right = outputs(seed)
    rows = belief_filter.unknown(FILTER, CLASSES, len(ROWS))
    kept, answers, told = [], [], []
    for evidence, answer, cloud_right in zip(student, cloud, right, strict=True):
        rows = belief_filter.after_run(FILTER, rows, evidence)
        sure = belief_filter.probabilities(rows)
        judged = shadow_beliefs.judge(sure, float(cloud_right), ROWS)
        told.append(shadow_beliefs.told_answers(FILTER, sure, answer).tolist())
        rows = shadow_beliefs.after_answer(FILTER, rows, judged.kept, answer)
        kept.append(judged.kept.tolist())
        answers.append(judged.answers.tolist())

    found = [list(map(list, zip(*columns, strict=True))) for columns in (kept, answers, told)]
    for row, threshold in enumerate(ROWS.tolist()):
        assert [column[row] for column in found] == list(alone(threshold, seed))
    assert any(found[0][1]) != all(found[0][1])


def test_many_streams_are_followed_at_once_as_each_by_itself() -> None:
    streams = [outputs(seed) for seed in range(3)]
    student, cloud, right = (np.stack(column) for column in zip(*streams, strict=True))
    together = belief_filter.unknown(FILTER, CLASSES, 3, len(ROWS))
    apart = [belief_filter.unknown(FILTER, CLASSES, len(ROWS)) for _ in range(3)]
    for place in range(20):
        together = belief_filter.after_run(FILTER, together, student[:, place, None])
        sure = belief_filter.probabilities(together)
        judged = shadow_beliefs.judge(sure, right[:, place, None], ROWS)
        told = shadow_beliefs.told_answers(FILTER, sure, cloud[:, place])
        together = shadow_beliefs.after_answer(FILTER, together, judged.kept, cloud[:, place])
        for stream in range(3):
            one = belief_filter.after_run(FILTER, apart[stream], student[stream, place])
            own = belief_filter.probabilities(one)
            alone_judged = shadow_beliefs.judge(own, float(right[stream, place]), ROWS)
            assert np.array_equal(judged.kept[stream], alone_judged.kept)
            assert np.array_equal(judged.answers[stream], alone_judged.answers)
            assert np.array_equal(
                told[stream], shadow_beliefs.told_answers(FILTER, own, cloud[stream, place])
            )
            apart[stream] = shadow_beliefs.after_answer(
                FILTER, one, alone_judged.kept, cloud[stream, place]
            )

    assert np.array_equal(together, np.stack(apart))


def test_answer_that_no_row_would_have_asked_for_is_not_heard() -> None:
    rows = belief_filter.unknown(FILTER, CLASSES, len(ROWS))
    cloud = np.array([1.0, 0, 0, 0])

    heard = shadow_beliefs.after_answer(FILTER, rows, np.ones(len(ROWS), np.bool_), cloud)

    assert np.array_equal(heard, rows)
