from dataclasses import replace

import pytest
import torch

from nestling_cloud.learning.distillation import make_views
from nestling_cloud.learning.make_teacher import make_teacher
from nestling_cloud.learning.train_student import fine_tune_on_grid
from nestling_cloud.progress import SilentProgress
from nestling_cloud.recipes.quantization import Quantization
from nestling_core.student.network import NestedStudent
from tests.support.tiny_task import TINY_TASK, tiny_splits


@pytest.mark.parametrize("epochs", [0, 1])
def test_student_is_fine_tuned_only_if_its_task_sets_epochs(epochs: int) -> None:
    task = replace(TINY_TASK, quantization=Quantization(aware_epochs=epochs))
    examples = tiny_splits().train
    generator = torch.Generator().manual_seed(0)
    student = NestedStudent(task.signature, task.student)
    before = [weights.detach().clone() for weights in student.parameters()]
    teacher = make_teacher(task)
    views = make_views(task, teacher, examples, generator, task.distillation)

    fine_tune_on_grid(task, student, views, generator, SilentProgress())

    assert all(map(torch.equal, before, student.parameters())) == (epochs == 0)
