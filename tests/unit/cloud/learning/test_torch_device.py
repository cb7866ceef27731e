import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from nestling_cloud.learning.distillation import TeacherObjective, make_views
from nestling_cloud.learning.loop import seeded, train
from nestling_cloud.learning.muon import Muon
from nestling_cloud.learning.nesting.joint_training import joint_loss
from nestling_cloud.learning.pipeline import learn
from nestling_cloud.learning.torch_device import (
    CPU,
    device_of,
    trained_on,
    training_device,
)
from nestling_cloud.progress import SilentProgress
from nestling_cloud.recipes.distillation import Feature
from nestling_cloud.tasks import Distillation, Recipe
from nestling_core.student.network import NestedStudent
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits

NO_GPU = "needs a graphics processor that torch can use"
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason=NO_GPU)


def test_without_a_graphics_processor_everything_trains_on_the_processor() -> None:
    if torch.cuda.is_available():
        pytest.skip("has a graphics processor")

    assert (training_device(), trained_on()) == (CPU, "cpu")


def test_cpu_flag_hides_graphics_processors_also_from_children() -> None:
    child = "import torch; assert not torch.cuda.is_available()"
    code = (
        "import subprocess, sys\n"
        "from nestling_cloud.learning.torch_device import training_device, use_cpu\n"
        "use_cpu()\n"
        "assert training_device().type == 'cpu'\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_training_sets_a_workspace_that_makes_cublas_deterministic() -> None:
    seeded(0)

    assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
    assert torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("feature", ["none", "hints", "attention", "angular"])
def test_no_step_of_the_student_mixes_devices(feature: Feature) -> None:
    splits, elsewhere = tiny_splits(), torch.device("meta")  # a device without values
    teacher, asked = TinyTeacher(TINY_TASK.signature), Distillation(feature=feature)
    views = make_views(TINY_TASK, teacher, splits.train, seeded(0), asked)
    student = NestedStudent(TINY_TASK.signature, TINY_TASK.student)
    objective = TeacherObjective(student, views)
    network = nn.ModuleList([student, objective]).to(elsewhere)
    batch = views.batch(0, torch.arange(8), device_of(student))

    loss = joint_loss(student, objective, batch, capacities=[1, 2, 3], teacher_share=0.5)
    loss.backward()  # type: ignore[no-untyped-call]
    kernels = [weight for weight in network.parameters() if weight.ndim > 2]
    Muon(kernels, lr=0.1, weight_decay=0.1).step()

    assert loss.device == elsewhere


@pytest.mark.gpu
@needs_gpu
def test_network_is_trained_on_the_graphics_processor_and_returned() -> None:
    seen, network = [], nn.Linear(1, 1)
    inputs = torch.randn(64, 1)

    def loss_of(indices: torch.Tensor, _: int) -> torch.Tensor:
        seen.append(device_of(network).type)
        found: torch.Tensor = network(inputs[indices].to(device_of(network))).square().mean()
        return found

    train(
        network,
        loss_of,
        count=64,
        recipe=Recipe(epochs=1, batch=16),
        generator=seeded(0),
        progress=SilentProgress(),
        what="line",
        device=training_device(),
    )

    assert set(seen) == {"cuda"}
    assert device_of(network) == CPU


@pytest.mark.gpu
@needs_gpu
def test_task_is_learned_on_the_graphics_processor_twice_alike() -> None:
    first, again = (
        learn(TINY_TASK, tiny_splits(), seed=0, progress=SilentProgress()) for _ in range(2)
    )

    assert min(one.accuracy for one in first.capacities) > 0.8
    assert [one.ring for one in first.capacities] == [one.ring for one in again.capacities]
