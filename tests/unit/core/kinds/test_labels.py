import numpy as np

from nestling_core.kinds.kind import Answer
from nestling_core.kinds.labels import MOST_LABELS, MultiLabel, SingleLabel

ONE = SingleLabel(("sit", "walk", "run"))
MANY = MultiLabel(("dog", "car", "rain"))


def test_first_of_two_equal_outputs_is_the_class() -> None:
    assert ONE.answers(np.array([[1.0, 2.0, 2.0]])).tolist() == [1]


def test_class_is_right_if_it_is_the_same() -> None:
    assert ONE.success(np.array([0, 1]), np.array([0, 2])).tolist() == [True, False]


def test_label_needs_an_output_above_zero() -> None:
    found = MANY.answers(np.array([[0.0, 1e-6, -1.0]]))

    assert found.tolist() == [[False, True, False]]
    assert MANY.packed(found) == [Answer(0b010)]


def test_set_of_labels_is_right_only_as_a_whole() -> None:
    answers = np.array([[True, True, False], [True, False, False]])
    references = np.array([[True, True, False], [True, True, False]])

    assert MANY.success(answers, references).tolist() == [True, False]


def test_labels_have_names() -> None:
    assert MANY.text(Answer(0b101)) == "dog + rain"
    assert MANY.text(Answer(0)) == "none"
    assert MANY.details(Answer(0b101)) == {"labels": ["dog", "rain"]}
    assert ONE.text(Answer(2)) == "run"


def test_label_outside_the_task_is_not_valid() -> None:
    assert MANY.is_valid(Answer(0b111))
    assert not MANY.is_valid(Answer(0b1000))
    assert not ONE.is_valid(Answer(3))
    assert not ONE.is_valid(Answer(1, (0.5,)))


def test_last_of_the_most_labels_keeps_its_place() -> None:
    kind = MultiLabel(tuple(map(str, range(MOST_LABELS))))
    outputs = np.full((1, MOST_LABELS), -1.0)
    outputs[0, -1] = 1

    (answer,) = kind.packed(kind.answers(outputs))

    assert answer.code == 1 << MOST_LABELS - 1 < 2**63
    assert kind.unpacked([answer]).tolist() == (outputs > 0).tolist()
