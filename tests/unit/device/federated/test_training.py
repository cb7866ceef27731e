import numpy as np
import pytest
import torch

from nestling_core.student.messages import LocalRecipe
from nestling_core.student.network import NestedStudent
from nestling_core.student.weights import arrays_of, trained_shapes
from nestling_device.federated.examples import LocalExamples, split
from nestling_device.federated.training import LocalTrainingError, accuracy, train_prefix
from tests.support.learning_fleet import slow_tones
from tests.support.tiny_task import TINY_TASK

RECIPE = LocalRecipe(epochs=8, batch=16, learning_rate=1e-2)


def examples() -> LocalExamples:
    made = slow_tones(200, seed=5)
    return split(made.inputs[:], made.labels)


def student() -> NestedStudent:
    torch.manual_seed(0)
    made = NestedStudent(TINY_TASK.signature, TINY_TASK.student)
    made.normalizer.fit(examples().inputs)
    return made.eval()


def trained(capacity: int, seed: int = 0, recipe: LocalRecipe = RECIPE) -> NestedStudent:
    made = student()
    generator = torch.Generator().manual_seed(seed)
    train_prefix(made, examples(), capacity, recipe, generator)
    return made


def test_every_capacity_of_the_prefix_learns() -> None:
    made, given = trained(2), examples()

    for capacity in (1, 2):
        before = accuracy(student(), given.held_out_inputs, given.held_out_labels, capacity)
        after = accuracy(made, given.held_out_inputs, given.held_out_labels, capacity)
        assert after > before + 0.2


def test_normalization_of_larger_capacities_is_unchanged() -> None:
    before, after = arrays_of(student()), arrays_of(trained(1))

    larger = [name for name in before if ".capacities.1." in name or ".capacities.2." in name]
    assert larger
    assert all(np.array_equal(before[name], after[name]) for name in larger)
    assert all(
        not np.array_equal(before[name], after[name])
        for name in trained_shapes(TINY_TASK.signature, TINY_TASK.student, 1)
    )


def test_weights_depend_on_the_seed_and_on_nothing_else() -> None:
    one, again, other = (arrays_of(trained(3, seed)) for seed in (1, 1, 2))

    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["head"], other["head"])


def test_training_that_diverges_is_an_error() -> None:
    wild = LocalRecipe(epochs=8, batch=16, learning_rate=1e30)

    with pytest.raises(LocalTrainingError, match="the loss is"):
        trained(3, recipe=wild)


def test_too_few_examples_are_an_error() -> None:
    one = split(np.zeros((1, 2, 16), np.float32), np.zeros(1, np.int64))

    with pytest.raises(LocalTrainingError, match="1 examples are too few"):
        train_prefix(student(), one, 1, RECIPE, torch.Generator())


def test_accuracy_without_held_out_data_is_zero() -> None:
    nothing = np.zeros((0, 2, 16), np.float32)

    assert accuracy(student(), nothing, np.zeros(0, np.int64), 1) == 0.0
