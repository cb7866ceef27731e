import dataclasses

import numpy as np
import pytest
import torch

from nestling_cloud.federated.aggregation import Update
from nestling_cloud.federated.ensemble import (
    EnsembleRecipe,
    blend,
    distil_ensemble,
    ensemble_loss,
    teacher_logits,
)
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.onnx.torch_export import export_onnx
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Recipe
from nestling_core.student.losses import distillation_loss
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import TEMPERATURE
from nestling_core.student.weights import arrays_of, take, trained_shapes
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits

TEACHER = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
RECIPE = EnsembleRecipe(client_weight=0.5, recipe=Recipe(epochs=2, batch=64))


def test_capacity_that_no_client_trained_learns_from_the_teacher() -> None:
    assert torch.equal(blend(TEACHER, [], 0.9), TEACHER)


def test_clients_and_teacher_are_weighted_by_the_recipe() -> None:
    clients = [torch.full((2, 2), 2.0), torch.full((2, 2), 4.0)]

    assert torch.allclose(blend(TEACHER, clients, 0.25), 0.75 * TEACHER + 0.25 * 3.0)
    assert torch.equal(blend(TEACHER, clients, 0.0), TEACHER)


@torch.no_grad()
def test_loss_is_the_sum_of_every_capacitys_distillation() -> None:
    student = NestedStudent(TINY_TASK.signature, TINY_TASK.student).eval()
    inputs, labels = torch.randn(4, 2, 16), torch.tensor([0, 1, 2, 0])
    targets = torch.randn(3, 4, 3)

    loss = ensemble_loss(student, inputs, targets, labels, 0.7)

    expected = sum(
        distillation_loss(
            student(inputs, k), targets[k - 1], labels, temperature=TEMPERATURE, weight=0.7
        )
        for k in (1, 2, 3)
    )
    assert loss.item() == pytest.approx(float(expected), rel=1e-5)


def onnx() -> bytes:
    torch.manual_seed(0)
    teacher = TinyTeacher(TINY_TASK.signature)
    example = torch.zeros(2, *TINY_TASK.signature.shape)
    return export_onnx(teacher, [example], input_names=["input"], output_names=["logits"])


def distilled(model: bytes, updates: list[Update], recipe: EnsembleRecipe) -> NestedStudent:
    torch.manual_seed(1)
    whole = arrays_of(NestedStudent(TINY_TASK.signature, TINY_TASK.student))
    return distil_ensemble(
        TINY_TASK,
        whole,
        updates,
        model,
        tiny_splits().train,
        recipe=recipe,
        generator=seeded(0),
        progress=SilentProgress(),
    )


def test_clients_models_change_the_nest_reproducibly() -> None:
    model = onnx()
    torch.manual_seed(2)
    client = arrays_of(NestedStudent(TINY_TASK.signature, TINY_TASK.student))
    shapes = trained_shapes(TINY_TASK.signature, TINY_TASK.student, 2)
    update = Update(node=1, capacity=2, examples=9, arrays=take(client, shapes))

    without, with_one, again = (
        arrays_of(distilled(model, updates, RECIPE)) for updates in ([], [update], [update])
    )

    assert not np.array_equal(without["head"], with_one["head"])
    assert all(np.array_equal(with_one[name], again[name]) for name in again)


def test_client_weight_0_ignores_the_clients() -> None:
    model = onnx()
    client = arrays_of(NestedStudent(TINY_TASK.signature, TINY_TASK.student))
    shapes = trained_shapes(TINY_TASK.signature, TINY_TASK.student, 3)
    update = Update(node=1, capacity=3, examples=9, arrays=take(client, shapes))
    alone = dataclasses.replace(RECIPE, client_weight=0.0)

    one, other = (arrays_of(distilled(model, given, alone)) for given in ([], [update]))

    assert np.allclose(one["head"], other["head"])


def test_teacher_logits_match_the_served_teacher() -> None:
    torch.manual_seed(0)
    teacher = TinyTeacher(TINY_TASK.signature)
    inputs = np.random.default_rng(0).normal(size=(600, 2, 16)).astype(np.float32)

    found = teacher_logits(onnx(), inputs)

    with torch.no_grad():
        assert np.allclose(found, teacher(torch.from_numpy(inputs)).numpy(), atol=1e-5)
