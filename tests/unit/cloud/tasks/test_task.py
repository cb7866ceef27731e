import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nestling_cloud.learning.make_teacher import make_teacher
from nestling_cloud.recipes.recipe import RecipeError
from nestling_cloud.tasks import (
    Examples,
    Nesting,
    Recipe,
    Signature,
    Splits,
    Task,
    TaskError,
    concatenate,
    conv_student,
    shuffle_student,
)
from nestling_cloud.tasks.fashion import TASK as FASHION
from nestling_cloud.tasks.wearable import TASK as WEARABLE
from tests.support.tiny_task import TINY_TASK


def examples(count: int = 4) -> Examples:
    return Examples(
        inputs=np.zeros((count, 2, 8), np.float32), labels=np.arange(count, dtype=np.int64) % 3
    )


def task_of(
    train: Examples | None = None,
    calibration: Examples | None = None,
    test: Sequence[Examples] | None = None,
) -> Task:
    splits = Splits(
        train=examples() if train is None else train,
        calibration=examples() if calibration is None else calibration,
        test=[examples(), examples(2)] if test is None else test,
    )
    return Task(
        name="tiny",
        signature=Signature(shape=[2, 8], classes=["a", "b", "c"]),
        load=lambda _data_dir, _seed: splits,
        student=conv_student(channels=(4,), strides=(1,)),
    )


def test_valid_data_is_returned_unchanged() -> None:
    task = task_of()

    assert task.load_checked(None, 0) is task.load(None, 0)


def test_folder_and_seed_reach_the_tasks_load_function() -> None:
    asked: list[tuple[Path | None, int]] = []
    sound = task_of()

    def load(data_dir: Path | None, seed: int) -> Splits:
        asked.append((data_dir, seed))
        return sound.load(data_dir, seed)

    task = Task(name="tiny", signature=sound.signature, load=load, student=sound.student)
    task.load_checked(Path("mine"), 7)

    assert asked == [(Path("mine"), 7)]


def with_inputs(inputs: NDArray[np.generic]) -> Examples:
    return Examples(inputs=inputs, labels=np.zeros(len(inputs), np.int64))  # type: ignore[arg-type]


def with_labels(*labels: int) -> Examples:
    return Examples(
        inputs=np.zeros((len(labels), 2, 8), np.float32), labels=np.array(labels, np.int64)
    )


def with_label_array(labels: NDArray[np.generic]) -> Examples:
    inputs = np.zeros((len(labels), 2, 8), np.float32)
    return Examples(inputs=inputs, labels=labels)


UNSOUND = [
    (examples(0), "no examples"),
    (with_inputs(np.zeros((4, 8, 2), np.float32)), r"float32 \(4, 8, 2\), .* float32 \(4, 2, 8\)"),
    (with_inputs(np.zeros((4, 16), np.float32)), r"requires float32 \(4, 2, 8\)"),
    (with_inputs(np.zeros((4, 2, 8))), "inputs are float64"),
    (with_inputs(np.full((4, 2, 8), np.nan, np.float32)), "not finite"),
    (with_inputs(np.full((4, 2, 8), np.inf, np.float32)), "not finite"),
    (with_labels(0, 3, 0), "labels must be 0 to 2"),
    (with_labels(-1, 0, 0), "labels must be 0 to 2"),
    (with_label_array(np.zeros(4, np.float32)), "labels are float32"),
    (with_label_array(np.zeros(4, np.int32)), "labels are int32"),
    (with_label_array(np.zeros((4, 1), np.int64)), r"labels are int64 \(4, 1\)"),
    (
        Examples(inputs=np.zeros((5, 2, 8), np.float32), labels=np.zeros(4, np.int64)),
        r"\(5, 2, 8\), the signature requires float32 \(4, 2, 8\)",
    ),
]


@pytest.mark.parametrize(("unsound", "words"), UNSOUND)
def test_invalid_part_is_named_with_the_reason(unsound: Examples, words: str) -> None:
    with pytest.raises(TaskError, match=f"task tiny, train: .*{words}"):
        task_of(train=unsound).load_checked(None, 0)
    with pytest.raises(TaskError, match=f"task tiny, calibration: .*{words}"):
        task_of(calibration=unsound).load_checked(None, 0)
    with pytest.raises(TaskError, match=rf"task tiny, test\[1\]: .*{words}"):
        task_of(test=[examples(), unsound]).load_checked(None, 0)


def test_class_without_training_examples_is_named() -> None:
    with pytest.raises(TaskError, match="task tiny, train: no example of 'b'; add some"):
        task_of(train=with_labels(0, 0, 2)).load_checked(None, 0)


def test_task_with_one_class_is_refused_before_loading() -> None:
    signature = Signature(shape=[4, 8], classes=["a"])

    with pytest.raises(TaskError, match=r"task tiny: a signature .* needs at least two classes"):
        dataclasses.replace(task_of(), signature=signature)


def test_training_data_of_one_class_is_refused_with_its_name() -> None:
    with pytest.raises(TaskError, match="task tiny, train: every label is 'b'"):
        task_of(train=with_labels(1, 1, 1)).load_checked(None, 0)


def test_calibration_and_test_may_lack_a_class() -> None:
    task = task_of(calibration=with_labels(0, 2, 2), test=[with_labels(1)])

    assert len(task.load_checked(None, 0).calibration) == 3


def test_task_without_test_recordings_is_refused() -> None:
    with pytest.raises(TaskError, match="no test recordings"):
        task_of(test=[]).load_checked(None, 0)


def test_concatenation_keeps_the_order() -> None:
    parts = [with_labels(2, 1), with_labels(0)]

    assert concatenate(parts).labels.tolist() == [2, 1, 0]
    assert concatenate(parts).inputs.shape == (3, 2, 8)


def test_task_without_augmentation_keeps_inputs() -> None:
    inputs = torch.randn(3, 2, 8)

    assert torch.equal(task_of().augment(inputs, torch.Generator()), inputs)


def test_default_teacher_fits_the_signature() -> None:
    task = task_of()

    assert make_teacher(task)(torch.zeros(2, 2, 8)).shape == (2, 3)


def test_student_that_does_not_fit_the_signature_is_refused() -> None:
    student = shuffle_student(channels=(6, 8), strides=(1, 1), groups=4)

    with pytest.raises(TaskError, match=r"student: block 1: .* do not split into 4 groups"):
        dataclasses.replace(TINY_TASK, student=student)


def test_shuffled_student_cannot_be_nested_by_growing() -> None:
    student = shuffle_student(channels=(8, 16), strides=(1, 1), groups=2)

    with pytest.raises(
        TaskError, match=r"Shuffle blocks cannot be nested by 'grow'.*Nesting\(way='joint'\)"
    ):
        dataclasses.replace(TINY_TASK, student=student, nesting=Nesting(way="grow"))


@pytest.mark.parametrize(
    "fields",
    [
        {"learning_rate": float("inf")},
        {"learning_rate": float("nan")},
        {"weight_decay": float("nan")},
        {"weight_decay": -0.1},
        {"patience": -1},
        {"threads": 0},
        {"optimizer": "sgd"},
    ],
)
def test_invalid_recipe_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        Recipe(epochs=1, **fields)


def test_concatenated_recordings_know_where_each_ends() -> None:
    parts = [examples(2), examples(3), examples(1)]

    whole = concatenate(parts)

    assert list(whole.lengths) == [2, 3, 1]
    assert np.array_equal(whole.labels, np.concatenate([part.labels for part in parts]))


def test_recordings_that_are_concatenated_again_stay_recordings() -> None:
    subject = concatenate([examples(2), examples(3)])

    assert list(concatenate([subject, examples(4), subject]).lengths) == [2, 3, 4, 2, 3]


def test_examples_are_independent_unless_they_are_concatenated() -> None:
    assert not examples().lengths


@pytest.mark.parametrize("lengths", [[3], [2, 3], [4, 0], [5, -1]])
@pytest.mark.parametrize("part", ["train", "calibration"])
def test_lengths_that_are_not_those_of_the_recordings_are_refused(
    part: str, lengths: list[int]
) -> None:
    wrong: Any = {part: dataclasses.replace(examples(), lengths=lengths)}

    with pytest.raises(TaskError, match=f"{part}: lengths must .*add up to 4; .*concatenate"):
        task_of(**wrong).load_checked(None, 0)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_calibration_examples_are_refused(count: int) -> None:
    with pytest.raises(
        TaskError, match=f"calibration: {count} examples are too few: .* at least 3"
    ):
        task_of(calibration=with_labels(*[0] * count)).load_checked(None, 0)


@pytest.mark.parametrize("name", ["load", "augment"])
def test_task_without_a_required_function_is_refused(name: str) -> None:
    changed: dict[str, Any] = {name: 3}

    with pytest.raises(TaskError, match=f"task tiny: {name} must be a function, not a int"):
        dataclasses.replace(task_of(), **changed)


def test_teacher_that_is_no_function_network_or_file_is_refused() -> None:
    changed: dict[str, Any] = {"teacher": 3}

    with pytest.raises(TaskError, match=r"task tiny: teacher must be a function, .* not a int"):
        dataclasses.replace(task_of(), **changed)


def _raises(*_: object) -> Any:
    raise KeyError("absent")


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (_raises, r"load.* failed: KeyError: 'absent' \(test_task.py, line \d+\)"),
        (lambda _data_dir, _seed: None, "load.* returned a NoneType, not Splits"),
        (lambda _data_dir, _seed: (1, 2, 3), "load.* returned a tuple, not Splits"),
    ],
)
def test_load_function_that_fails_is_reported(load: Any, words: str) -> None:
    with pytest.raises(TaskError, match=f"task tiny: {words}"):
        dataclasses.replace(task_of(), load=load).load_checked(None, 0)


@pytest.mark.parametrize(
    ("augment", "words"),
    [
        (_raises, "failed: KeyError: 'absent'"),
        (lambda _inputs, _generator: None, "returned a NoneType"),
        (lambda inputs, _generator: inputs.double(), "into torch.float64"),
        (lambda inputs, _generator: inputs[:, :1], r"into torch.float32 \[4, 1, 8\]"),
        (lambda inputs, _generator: inputs * float("nan"), "returned values that are not finite"),
    ],
)
def test_augmentation_that_spoils_inputs_is_reported_before_training(
    augment: Any, words: str
) -> None:
    with pytest.raises(TaskError, match=f"task tiny: augment.inputs, generator. .*{words}"):
        dataclasses.replace(task_of(), augment=augment).load_checked(None, 0)


@pytest.mark.parametrize("what", ["inputs", "labels"])
def test_lists_and_tensors_are_refused(what: str) -> None:
    changed: dict[str, Any] = {what: [0, 1, 2]}

    with pytest.raises(TaskError, match=f"train: {what} are a list, not a numpy array"):
        task_of(train=dataclasses.replace(examples(), **changed)).load_checked(None, 0)


@pytest.mark.parametrize(
    ("media", "keep", "expected"),
    [
        ("", None, "hard"),
        ("array", None, "hard"),
        ("picture", None, "none"),
        ("sound", None, "none"),
        ("picture", "hard", "hard"),
        ("sound", "audited", "audited"),
        ("", "none", "none"),
    ],
)
def test_pictures_and_sounds_are_stored_only_if_the_task_says_so(
    media: str, keep: Any, expected: str
) -> None:
    signature = Signature(shape=[2, 8], classes=["a", "b", "c"], media=media)

    task = dataclasses.replace(task_of(), signature=signature, keep_inputs=keep)

    assert task.stored_inputs == expected


@pytest.mark.parametrize("keep", ["all", "", True])
def test_unknown_word_about_stored_inputs_is_refused(keep: Any) -> None:
    with pytest.raises(TaskError, match="keep_inputs must be one of none, hard, audited"):
        dataclasses.replace(task_of(), keep_inputs=keep)


def test_pictures_of_clothes_may_be_stored() -> None:
    assert (FASHION.stored_inputs, WEARABLE.stored_inputs) == ("hard", "hard")
