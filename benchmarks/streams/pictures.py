"""Makes independent pictures and a stream of pictures with bursts, and the models that answer them.

The models are small and learn from few pictures: what matters here is the filter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.learning import rounding
from benchmarks.learning.cells import Cell, Cells, Content
from benchmarks.learning.nests import Study
from benchmarks.learning.rounding import as_bytes, open_capacities, rounded_cell, session_logits
from benchmarks.learning.teacher import teacher_cell, teacher_of, test_of
from benchmarks.small_fashion import small_fashion
from nestling_cloud.learning.input_tensors import tensors_of
from nestling_cloud.learning.loop import logits_of
from nestling_cloud.learning.routing import RoutingData
from nestling_cloud.tasks import Examples
from nestling_cloud.tasks.fashion import cut

_CALIBRATION, _TEST = 3000, 4500
_RECORDING = 100
# Means of geometric distributions, in pictures.
_RUN, _BURST, _CALM = 20, 15, 60
_NOISE = 0.4


@dataclass(frozen=True, kw_only=True)
class PictureModels:
    """The outputs of the models for two kinds of pictures.

    Attributes:
        independent: the calibration and the test inputs, as independent pictures.
        bursts: the calibration and the test inputs, as streams with bursts.
        answers: the key of the cell with the outputs.
    """

    independent: tuple[RoutingData, RoutingData]
    bursts: tuple[RoutingData, RoutingData]
    answers: str


def picture_models(cells: Cells, seed: int) -> PictureModels:
    """Return the outputs of the models of one seed, after training those that are missing.

    Args:
        cells: the cache of finished steps.
        seed: the seed of data, teacher, student and streams.
    """
    task = small_fashion()
    splits, study = task.load_checked(None, seed), Study(task=task, seed=seed)
    rng = np.random.default_rng(seed)
    parts = {
        "calibration": cut(splits.calibration, 0, _CALIBRATION),
        "test": cut(test_of(splits), 0, _TEST),
    }
    made = {f"{name} in bursts": with_bursts(part, rng) for name, part in parts.items()}
    examples = {**parts, **made}
    cell = Cell(
        name="answers to pictures",
        parameters={"seed": seed},
        modules=(*rounding.MODULES, "benchmarks.streams.pictures"),
        parents=[rounding.describe(study, task.quantization).key],
    )
    logits = cells.load_or_make(cell, lambda: _all_logits(cells, study, examples))
    data = {name: _routing_data(part, logits[name]) for name, part in examples.items()}
    calibration, test = (replace(data[name], lengths=()) for name in parts)
    calibration_bursts, test_bursts = (data[name] for name in made)
    return PictureModels(
        independent=(calibration, test),
        bursts=(calibration_bursts, test_bursts),
        answers=cell.key,
    )


def with_bursts(pictures: Examples, rng: np.random.Generator) -> Examples:
    """Return all pictures as a stream in which classes and difficulty persist.

    All lengths are random, with geometric distributions. Runs of one class have 20 pictures on
    average; the next class is drawn in proportion to the pictures that are left. Bursts of noisy
    pictures have 15 on average, and the stretches between bursts have 60. The stream is cut into
    recordings of 100 pictures.

    Args:
        pictures: independent pictures.
        rng: the generator of the order and the noise.
    """
    order = _in_runs(pictures.labels, rng)
    noisy = _in_bursts(len(order), rng)
    inputs = pictures.inputs[order].copy()
    noise = rng.normal(0, _NOISE, (int(noisy.sum()), *inputs.shape[1:]))
    inputs[noisy] = np.clip(inputs[noisy] + noise, 0, 1)
    ends = [*range(_RECORDING, len(order), _RECORDING), len(order)]
    lengths = np.diff([0, *ends]).tolist()
    return Examples(inputs=inputs, labels=pictures.labels[order], lengths=lengths)


def _in_runs(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.intp]:
    left = [rng.permutation(np.flatnonzero(labels == one)).tolist() for one in np.unique(labels)]
    order: list[int] = []
    while any(left):
        counts = np.array([len(one) for one in left])
        chosen = left[int(rng.choice(len(left), p=counts / counts.sum()))]
        length = min(len(chosen), int(rng.geometric(1 / _RUN)))
        order += [chosen.pop() for _ in range(length)]
    return np.array(order, np.intp)


def _in_bursts(count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    noisy: list[bool] = []
    while len(noisy) < count:
        noisy += [False] * int(rng.geometric(1 / _CALM))
        noisy += [True] * int(rng.geometric(1 / _BURST))
    return np.array(noisy[:count])


def _all_logits(cells: Cells, study: Study, parts: Mapping[str, Examples]) -> Content:
    """Return the logits of the teacher, and of all capacities, for each part of the data.

    Args:
        cells: the cache of finished steps.
        study: the description of the student.
        parts: a mapping from the name of a part to its examples.
    """
    task = study.task
    rounded = rounded_cell(cells, study, task.quantization)
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
