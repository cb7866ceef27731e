"""The benchmark's teachers: one for each task and seed, trained in full."""

import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn

from benchmarks.learning.cells import Cell, Cells, Content
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.train_teacher import train_teacher
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.tasks import Examples, Splits, Task, concatenate

MODULES = (
    "benchmarks.learning.teacher",
    "nestling_core.student.normalizer",
    "nestling_cloud.models.picture_teacher",
    "nestling_cloud.models.teacher",
    "nestling_cloud.learning.muon",
    "nestling_cloud.learning.train_teacher",
    "nestling_cloud.tasks.motion",
    "nestling_cloud.tasks.pictures",
    "nestling_cloud.learning.loop",
)


def describe(task: Task, seed: int) -> Cell:
    """The cell of a task's teacher."""
    assert task.teacher_recipe is not None
    return Cell(
        name="teacher",
        parameters={
            "task": task.name,
            "seed": seed,
            "recipe": dataclasses.asdict(task.teacher_recipe),
            "data": _digest(task.load, seed),
            "augment": inspect.getsource(task.augment),
        },
        modules=MODULES,
    )


def teacher_cell(cells: Cells, task: Task, seed: int) -> Content:
    """Weights, `accuracy` on test and on calibration data, logits for both."""
    return cells.take(describe(task, seed), lambda: _train(task, seed))


def teacher_of(task: Task, content: Content) -> nn.Module:
    """The network of a teacher's cell."""
    teacher = task.teacher(task.signature)
    teacher.load_state_dict(content["state"])
    return teacher.eval()


@functools.cache
def _digest(load: Callable[[Path | None, int], Splits], seed: int) -> str:
    splits = load(None, seed)
    digest = hashlib.sha256()
    for examples in (splits.train, splits.calibration, *splits.test):
        digest.update(examples.inputs.tobytes())
        digest.update(examples.labels.tobytes())
    return digest.hexdigest()


def _train(task: Task, seed: int) -> Content:
    splits = task.load_checked(None, seed)
    progress = ConsoleProgress(Console(stderr=True))
    teacher = train_teacher(task, splits.train, seeded(seed), progress)
    return {
        "state": teacher.state_dict(),
        "accuracy": accuracy(teacher, test_of(splits)),
        "calibration": accuracy(teacher, splits.calibration),
    }


def test_of(splits: Splits) -> Examples:
    """All test recordings in one."""
    return concatenate(splits.test)


def accuracy(answer: Callable[[torch.Tensor], torch.Tensor], examples: Examples) -> float:
    """Share of right answers, %, of what gives logits."""
    with torch.no_grad():
        parts = torch.split(torch.from_numpy(examples.inputs), 512)
        answers = torch.cat([answer(part).argmax(1) for part in parts]).numpy()
    return float(100 * np.mean(answers == examples.labels))
