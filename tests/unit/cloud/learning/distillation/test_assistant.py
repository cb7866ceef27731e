import dataclasses

import torch
from torch import nn

from nestling_cloud.learning.distillation.assistant import train_assistants
from nestling_cloud.learning.loop import logits_of, seeded
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.progress import SilentProgress
from nestling_cloud.recipes.distillation import BY_LOGITS, Distillation
from nestling_cloud.tasks import Recipe
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits

TASK = dataclasses.replace(TINY_TASK, teacher_recipe=Recipe(epochs=3, batch=16, learning_rate=0.02))
EXAMPLES = tiny_splits().train
INPUTS = torch.from_numpy(EXAMPLES.inputs)


class Stubborn(nn.Module):
    """Always gives the same answer, and counts its inputs."""

    asked = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.asked += len(x)
        return torch.tensor([0.0, 9.0, 0.0]).expand(len(x), 3)


def assistant_of(teacher: nn.Module, *widths: int, seed: int = 0) -> nn.Module:
    distillation = Distillation(weight=1.0, assistants=widths)
    generator = seeded(seed)
    return train_assistants(
        TASK, teacher, EXAMPLES, distillation, generator=generator, progress=SilentProgress()
    )


def test_without_assistants_the_teacher_itself_teaches() -> None:
    teacher = TinyTeacher(TASK.signature)

    assert assistant_of(teacher) is teacher


def test_last_assistant_has_the_last_width_and_is_ready_to_teach() -> None:
    assistant = assistant_of(TinyTeacher(TASK.signature), 6, 4)

    assert isinstance(assistant, ConvTeacher)
    assert assistant.head.in_features == 2 * 4
    assert not assistant.training
    mean = assistant.normalizer(INPUTS).mean((0, 2))
    assert torch.allclose(mean, torch.zeros(2), atol=1e-4)


def test_answers_of_the_teacher_reach_the_last_assistant_through_the_others() -> None:
    teacher = Stubborn()

    assistant = assistant_of(teacher, 6, 4)

    assert (logits_of(assistant, INPUTS).argmax(1) == 1).double().mean().item() > 0.9
    assert teacher.asked == BY_LOGITS.views * len(EXAMPLES)  # the second learned from the first


def test_same_seed_gives_the_same_assistant_and_another_seed_another() -> None:
    torch.manual_seed(0)
    teacher = TinyTeacher(TASK.signature)

    first, again, other = (assistant_of(teacher, 6, 4, seed=seed) for seed in (0, 0, 1))

    answers = [logits_of(each, INPUTS) for each in (first, again, other)]
    assert torch.equal(answers[0], answers[1])
    assert not torch.allclose(answers[0], answers[2])
