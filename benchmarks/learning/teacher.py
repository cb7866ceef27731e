"""Trains the teachers of the learning benchmark, one for each task and seed."""

import functools
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn

from benchmarks.learning.cells import Cell, Cells, Content
from nestling_cloud.learning.input_tensors import split, tensors_of
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.make_teacher import make_teacher
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
    """Return the description of the step that trains a task's teacher, for the cache."""
    assert task.teacher_recipe is not None
    return Cell(
        name="teacher",
        parameters={
            "task": task.name,
            "seed": seed,
            "recipe": asdict(task.teacher_recipe),
            "data": _digest(task.load, seed),
            "augment": inspect.getsource(task.augment),
        },
        modules=MODULES,
    )


def teacher_cell(cells: Cells, task: Task, seed: int) -> Content:
    """Return the cell (the cached result) of a teacher, which is trained first if it is missing.

    The cell contains the weights as `state`, and the accuracy in % on test data as `accuracy` and
    on calibration data as `calibration`.
    """
    return cells.load_or_make(describe(task, seed), lambda: _train(task, seed))


def teacher_of(task: Task, content: Content) -> nn.Module:
    """Build the trained network from a teacher's cell, in evaluation mode."""
    teacher = make_teacher(task)
    teacher.load_state_dict(content["state"])
    return teacher.eval()


@functools.cache
def _digest(load: Callable[[Path | None, int], Splits], seed: int) -> str:
    splits = load(None, seed)
    digest = hashlib.sha256()
    for examples in (splits.train, splits.calibration, *splits.test):
        digest.update(examples.inputs[:].tobytes())
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
    """Return all test recordings, joined into one set of examples."""
    return concatenate(splits.test)


def accuracy(network: Callable[[torch.Tensor], torch.Tensor], examples: Examples) -> float:
    """Return the accuracy of a network, in %.

    Args:
        network: a function that returns the logits (N, classes) of a batch of inputs.
        examples: the inputs with their labels.
    """
    with torch.no_grad():
        batches = split(tensors_of(examples.inputs), 512)
        answers = torch.cat([network(batch).argmax(1) for batch in batches]).numpy()
    return float(100 * np.mean(answers == examples.labels))
