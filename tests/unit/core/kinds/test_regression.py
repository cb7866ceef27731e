import numpy as np

from nestling_core.kinds.kind import Answer
from nestling_core.kinds.regression import Regression

KIND = Regression(("pitch", "level"), ("Hz", ""), (5.0, 0.5))


def test_answer_is_right_up_to_and_at_its_tolerance() -> None:
    truth = np.array([[100.0, 1.0]] * 4, np.float32)
    answers = np.array([[105, 1.5], [95, 0.5], [105.01, 1], [100, 1.51]], np.float32)

    assert KIND.success(answers, truth).tolist() == [True, True, False, False]


def test_expected_errors_of_a_student_are_no_part_of_its_answer() -> None:
    outputs = np.array([[100.0, 1.0, -3.0, 2.0]], np.float32)

    assert KIND.student_outputs == 4
    assert KIND.answers(outputs).tolist() == KIND.answers(outputs[:, :2]).tolist() == [[100, 1]]


def test_values_have_names_and_units() -> None:
    answer = Answer(0, (123.456, 0.5))

    assert KIND.text(answer) == "pitch 123.5 Hz, level 0.5"
    assert Regression(("pitch",), ("Hz",), (5.0,)).text(Answer(0, (123.456,))) == "123.5 Hz"
    assert KIND.details(answer) == {"values": {"pitch": 123.456, "level": 0.5}}
    assert KIND.truth_text(np.array([[7.0, 2.0]])) == "pitch 7 Hz, level 2"


def test_values_that_are_missing_or_not_finite_are_not_valid() -> None:
    assert KIND.is_valid(Answer(0, (1.0, 2.0)))
    assert not KIND.is_valid(Answer(0, (1.0,)))
    assert not KIND.is_valid(Answer(0, (1.0, float("nan"))))
    assert not KIND.is_valid(Answer(1, (1.0, 2.0)))
