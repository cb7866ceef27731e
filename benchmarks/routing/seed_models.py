"""Loads the routing benchmark's models, with their logits on calibration and test inputs.

The logits are cached in cells, which store the results of finished steps.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator

from benchmarks.learning import rounding
from benchmarks.learning.cells import Cell, Cells, Content
from benchmarks.learning.nests import Study
from benchmarks.learning.plan import plan_of
from benchmarks.learning.rounding import as_bytes, open_capacities, rounded_cell, session_logits
from benchmarks.learning.teacher import teacher_cell, teacher_of, test_of
from benchmarks.small_fashion import small_fashion
from nestling_cloud.learning.input_tensors import tensors_of
from nestling_cloud.learning.loop import logits_of
from nestling_cloud.learning.macs import macs_by_capacity, network_macs
from nestling_cloud.learning.routing import RoutingData
from nestling_cloud.tasks import Examples, Task


@dataclass(frozen=True, kw_only=True)
class SeedModels:
    """The models of one task and seed.

    Attributes:
        task: the task.
        seed: the seed of data, teacher and students.
        calibration: the inputs, logits and labels for fitting and calibrating routers.
        test: the test inputs with their logits and labels, one recording after the other.
        rounded: the int8 nest (the student's weights as rings), a cell of the learning benchmark.
        macs: the multiply-accumulates of each capacity, smallest first, then of the teacher.
        answers: the key of the cell with the logits.
    """

    task: Task
    seed: int
    calibration: RoutingData
    test: RoutingData
    rounded: Content
    macs: list[int]
    answers: str

    @property
    def has_people(self) -> bool:
        """Whether the inputs are recordings of people, in which neighboring inputs are alike."""
        return self.task.name == "wearable"

    def draw_calibration(self, rng: Generator) -> RoutingData:
        """Return the calibration inputs in a random order.

        Routers are fitted on the first part of these inputs and calibrated on the rest. Pictures
        are shuffled. Recordings of people keep their order, but begin at a random input and wrap
        around. Shuffling would distribute neighboring inputs, which are very similar, over both
        parts.
        """
        count = len(self.calibration)
        if self.has_people:
            return self.calibration.part(np.roll(np.arange(count), int(rng.integers(count))))
        return self.calibration.part(rng.permutation(count))


def load_models(cells: Cells, name: str, seed: int, *, quick: bool) -> SeedModels:
    """Return the models of one task and seed, after training those that are missing.

    Args:
        cells: the cache of finished steps.
        name: the name of the task.
        seed: the seed of data, teacher and students.
        quick: whether to return the models of a quick run, which are barely trained.
    """
    plan = plan_of(name, quick=quick)
    task = small_fashion() if name == "fashion" and not quick else plan.full
    study = Study(task=task, seed=seed)
    rounded = rounded_cell(cells, study, task.quantization)
    splits = task.load_checked(None, seed)
    parts = {"calibration": splits.calibration, "test": test_of(splits)}
    cell = Cell(
        name="answers",
        parameters={"task": name},
        modules=(*rounding.MODULES, "benchmarks.routing.seed_models"),
        parents=[rounding.describe(study, task.quantization).key],
    )
    logits = cells.load_or_make(cell, lambda: _all_logits(cells, study, rounded, parts))
    teacher = teacher_of(task, teacher_cell(cells, task, seed))
    return SeedModels(
        task=task,
        seed=seed,
        calibration=_routing_data(parts["calibration"], logits["calibration"]),
        test=_routing_data(parts["test"], logits["test"]),
        rounded=rounded,
        macs=[
            *macs_by_capacity(task.signature, task.student),
            network_macs(teacher, task.signature.shape),
        ],
        answers=cell.key,
    )


def _all_logits(
    cells: Cells, study: Study, rounded: Content, parts: dict[str, Examples]
) -> dict[str, dict[str, torch.Tensor]]:
    """Return the logits of the teacher and of all capacities, for each part of the data.

    Args:
        cells: the cache of finished steps.
        study: the description of the student.
        rounded: the cell of the int8 nest.
        parts: a mapping from the name of a part to its examples.

    Returns:
        For each part, the teacher's logits as `cloud`, (N, classes), and those of the capacities as
        `logits`, (K, N, classes).
    """
    task = study.task
    teacher = teacher_of(task, teacher_cell(cells, task, study.seed))
    sessions = open_capacities(task, as_bytes(rounded["template"]), as_bytes(rounded["ring"]))
    return {
        name: {
            "cloud": logits_of(teacher, tensors_of(examples.inputs)),
            "logits": torch.stack([session_logits(session, examples) for session in sessions]),
        }
        for name, examples in parts.items()
    }


def _routing_data(examples: Examples, logits: dict[str, torch.Tensor]) -> RoutingData:
    return RoutingData(
        inputs=examples.inputs,
        logits=logits["logits"].numpy(),
        cloud=logits["cloud"].numpy(),
        labels=examples.labels,
        lengths=examples.lengths,
    )
