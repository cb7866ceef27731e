"""A file with the weights of the tiny task's teacher."""

from pathlib import Path

import torch
from torch import nn

from tests.support.tiny_task import TINY_TASK, TinyTeacher


def save_teacher(path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    torch.save(TinyTeacher(TINY_TASK.signature).state_dict(), path)


def load_teacher(path: Path) -> nn.Module:
    teacher = TinyTeacher(TINY_TASK.signature)
    teacher.load_state_dict(torch.load(path, weights_only=True))
    return teacher
