import numpy as np

from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.kind import Answer

KIND = Anomaly(("normal", "broken"))


def test_score_above_its_threshold_is_an_anomaly() -> None:
    found = KIND.packed(KIND.answers(np.array([[-0.1], [0.0], [0.1]], np.float32)))

    assert [answer.code for answer in found] == [0, 0, 1]
    assert found[1].values == (1.0,)


def test_answer_is_right_if_it_decides_like_another_score_or_a_label() -> None:
    scores = KIND.answers(np.array([[-2.0], [3.0]], np.float32))

    assert KIND.success(scores, np.array([0, 0])).tolist() == [True, False]
    assert KIND.success(scores, KIND.answers(np.array([[-0.1], [0.1]]))).tolist() == [True, True]


def test_scores_beyond_all_doubt_stay_finite() -> None:
    found = KIND.answers(np.array([[1e4], [-1e4]], np.float32))

    assert np.isfinite(found).all()
    assert KIND.decisions(found).tolist() == [True, False]


def test_anomaly_has_a_name_and_a_score() -> None:
    assert KIND.text(Answer(1, (3.21,))) == "broken (3.2)"
    assert KIND.details(Answer(1, (3.21,))) == {"score": 3.21}
    assert KIND.truth_text(np.array([1])) == "broken"


def test_decision_that_contradicts_its_score_is_not_valid() -> None:
    assert KIND.is_valid(Answer(1, (1.5,)))
    assert not KIND.is_valid(Answer(0, (1.5,)))
    assert not KIND.is_valid(Answer(1, ()))
    assert not KIND.is_valid(Answer(0, (-0.5,)))
    assert not KIND.is_valid(Answer(2, (1.5,)))
