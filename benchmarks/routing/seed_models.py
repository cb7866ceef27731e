"""What the routing benchmark's models make of inputs they did not see: answers, kept as cells."""

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.learning import rounding
from benchmarks.learning.cells import Cell, Cells, Content
from benchmarks.learning.nests import Study
from benchmarks.learning.plan import plan_of
from benchmarks.learning.rounding import as_bytes, rounded_cell
from benchmarks.learning.teacher import teacher_cell, teacher_of, test_of
from nestling_cloud.learning.loop import logits_of
from nestling_cloud.learning.macs import network_macs, student_macs
from nestling_cloud.learning.routing import RoutingData
from nestling_cloud.tasks import Examples, Task
from nestling_core.execution.session import open_session
from nestling_core.nest.layout import assemble
from nestling_core.student.plan import layout

_BATCH = 500


@dataclass(frozen=True, kw_only=True)
class SeedModels:
    """One task with the models of one seed.

    Attributes:
        task: what it is.
        seed: of data, teacher and students.
        calibration: what the models make of inputs for routers to learn from.
        test: what they make of inputs that nothing is learned from, recording after recording.
        rounded: the int8 nest, a cell of the learning benchmark.
        macs: of each capacity, then of the teacher.
    """

    task: Task
    seed: int
    calibration: RoutingData
    test: RoutingData
    rounded: Content
    macs: list[int]

    @property
    def has_people(self) -> bool:
        """Whether inputs come person after person, so that neighbours are alike."""
        return self.task.name == "wearable"


def load_world(cells: Cells, name: str, seed: int, *, quick: bool) -> SeedModels:
    """Take a task's models from the learning benchmark's cells; they are trained if missing."""
    plan = plan_of(name, quick=quick)
    study, task = plan.study(seed), plan.full
    rounded = rounded_cell(cells, study, task.quantization)
    splits = task.load_checked(None, seed)
    test = test_of(splits)
    content = cells.take(
        Cell(
            name="answers",
            parameters={"task": name},
            modules=(*rounding.MODULES, "benchmarks.routing.seed_models"),
            parents=[rounding.describe(study, task.quantization).key],
        ),
        lambda: _answer(cells, study, rounded, {"calibration": splits.calibration, "test": test}),
    )
    teacher = teacher_of(task, teacher_cell(cells, task, seed))
    capacities = range(1, task.student.capacities + 1)
    return SeedModels(
        task=task,
        seed=seed,
        calibration=_data(splits.calibration, content["calibration"]),
        test=_data(test, content["test"]),
        rounded=rounded,
        macs=[
            *(student_macs(task.signature, task.student, capacity) for capacity in capacities),
            network_macs(teacher, task.signature.shape),
        ],
    )


def _answer(
    cells: Cells, study: Study, rounded: Content, parts: dict[str, Examples]
) -> dict[str, dict[str, torch.Tensor]]:
    task = study.task
    teacher = teacher_of(task, teacher_cell(cells, task, study.seed))
    tensors, rings = layout(task.signature, task.student), as_bytes(rounded["ring"])
    sessions = [
        open_session(template, assemble(tensors, rings[:capacity]))
        for capacity, template in enumerate(as_bytes(rounded["template"]), start=1)
    ]
    return {
        name: {
            "cloud": logits_of(teacher, torch.from_numpy(examples.inputs)),
            "logits": torch.stack(
                [
                    torch.cat(
                        [
                            torch.from_numpy(session.run(None, {"input": batch})[0])
                            for batch in np.split(
                                examples.inputs, range(_BATCH, len(examples.inputs), _BATCH)
                            )
                        ]
                    )
                    for session in sessions
                ]
            ),
        }
        for name, examples in parts.items()
    }


def _data(examples: Examples, answers: dict[str, torch.Tensor]) -> RoutingData:
    return RoutingData(
        inputs=examples.inputs,
        logits=answers["logits"].numpy(),
        cloud=answers["cloud"].numpy(),
        labels=examples.labels,
    )


def drawn_order(
    world: SeedModels, rng: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """An order of the calibration inputs; `share_out` takes its first part to fit on.

    Pictures are shuffled. People's recordings keep their order and begin somewhere else.
    """
    count = len(world.calibration)
    if world.has_people:
        return np.roll(np.arange(count), int(rng.integers(count)))
    return rng.permutation(count)
