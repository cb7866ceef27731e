"""Measures on inputs of strangers, and on corrupted pictures, how well a guarantee holds."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.learning.cells import Cell, Cells, Content
from benchmarks.offload.audited_outputs import Bundle, Doubles, Outputs, Routing, corrupted
from benchmarks.offload.audited_streams import (
    Followed,
    StreamResult,
    draw_streams,
    follow,
    true_risks,
)
from benchmarks.small_fashion import small_fashion
from nestling_cloud.bundles.cache import trained_repository
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.cache_folder import cache_folder
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Examples, Splits, Task, concatenate
from nestling_cloud.tasks.wearable import TASK as WEARABLE

RISKS = (0.05, 0.1)
SHIFTS = (3, 5)
PEOPLE = 3
STREAMS = 500
"""The streams of each kind."""
_KINDS = 10
# Inputs of a stream: a filter makes an input four times as slow.
_FILTERED, _PLAIN, _PICTURES = 8_000, 15_000, 10_000
_SHIFT = 10_000
# Test pictures of each kind.
_POOL = 3_000
_MODULES = (
    "benchmarks.offload.audited_outputs",
    "benchmarks.offload.audited_rows",
    "benchmarks.offload.audited_streams",
    "benchmarks.offload.guarantee",
    "nestling_core.belief",
    "nestling_core.guarantee",
)
_PROCESSES = 2


@dataclass(frozen=True, kw_only=True)
class Study:
    """The results of all streams of one kind at one risk.

    Attributes:
        name: what the inputs are, and which capacity answers them.
        risk: the tolerated risk.
        dependence: the dependence length of each bundle.
        results: the results of the streams.
    """

    name: str
    risk: float
    dependence: Sequence[int]
    results: Sequence[StreamResult]


def measure_guarantees(seeds: Sequence[int], streams: int = STREAMS) -> list[Study]:
    """Return the results for unseen people, for corrupted pictures and for shifts.

    Args:
        seeds: the seeds, each of which is another split of the people.
        streams: the number of streams of each kind.
    """
    each = -(-streams // (PEOPLE * len(seeds)))
    jobs = [(seed, place, kind) for kind in (True, False) for seed in seeds for place in (0, -1)]
    with ProcessPoolExecutor(_PROCESSES, multiprocessing.get_context("spawn")) as pool:
        people = [pool.submit(_run_people, *job, each) for job in jobs]
        pictures = [
            pool.submit(_run_pictures, seeds[0], part, count)
            for part, count in (("corrupted", streams), ("shifted", streams // 2))
        ]
        contents = [job.result() for job in (*people, *pictures)]
    merged: dict[tuple[str, float], list[Any]] = {}
    for content in contents:
        for study in content["studies"]:
            merged.setdefault((study["name"], study["risk"]), []).append(study)
    return [
        Study(
            name=name,
            risk=risk,
            dependence=[part["dependence"] for part in parts],
            results=[StreamResult(**one) for part in parts for one in part["results"]],
        )
        for (name, risk), parts in merged.items()
    ]


def _run_people(seed: int, place: int, filtering: bool, streams: int) -> Content:
    """Return the results on the test people of one split.

    Args:
        seed: the seed of the split.
        place: the index of the capacity: 0 is the smallest, -1 the largest.
        filtering: whether the bundle's filter is used.
        streams: the number of streams of each person.
    """
    bundle, loaded, version = _bundle(WEARABLE, seed)
    cell = Cell(
        name="guarantees, people",
        parameters={"place": place, "filtering": filtering, "streams": streams},
        modules=_MODULES,
        parents=[version],
    )
    return _cells().load_or_make(
        cell, lambda: _people(bundle, loaded, place, streams, filtering=filtering)
    )


def _people(
    bundle: Bundle, loaded: Splits, place: int, streams: int, *, filtering: bool
) -> Content:
    capacity = bundle.capacities if place else 1
    routing = bundle.routing(capacity)
    if not filtering:
        routing = bundle.plain_routing(capacity, loaded.calibration)
    each = len(loaded.test) // PEOPLE
    rng = np.random.default_rng(0)
    studies: dict[float, list[StreamResult]] = {risk: [] for risk in RISKS}
    for person in range(PEOPLE):
        examples = concatenate(loaded.test[each * person : each * (person + 1)])
        outputs, lengths = bundle.outputs(capacity, examples), np.array(examples.lengths, np.intp)
        risks = true_risks(outputs, routing, lengths, rng)
        for risk in RISKS:
            places = draw_streams(lengths, streams, _FILTERED if filtering else _PLAIN, rng)
            studies[risk] += follow(Followed(outputs, routing, risk, risks), places, rng)
    size = "largest" if place else "smallest"
    kind = "with filter" if filtering else "without filter"
    return _content(f"unseen people, {size}, {kind}", routing, studies)


def _run_pictures(seed: int, part: str, streams: int) -> Content:
    """Return the results on pictures.

    Args:
        seed: the seed of the bundle.
        part: "corrupted" or "shifted".
        streams: the number of streams.
    """
    bundle, loaded, version = _bundle(small_fashion(), seed)
    cell = Cell(
        name="guarantees, pictures",
        parameters={"part": part, "streams": streams},
        modules=_MODULES,
        parents=[version],
    )
    make = _corrupted if part == "corrupted" else _shifted
    return _cells().load_or_make(cell, lambda: make(bundle, loaded, streams))


def _corrupted(bundle: Bundle, loaded: Splits, streams: int) -> Content:
    routing, rng = bundle.routing(1), np.random.default_rng(0)
    test = concatenate(loaded.test)
    labels, alone = test.labels[:_POOL], np.ones(_POOL, np.intp)
    studies: dict[float, list[StreamResult]] = {risk: [] for risk in RISKS}
    for pictures in corrupted(test.inputs[:_POOL], rng).values():
        outputs = bundle.outputs(1, Examples(inputs=pictures, labels=labels))
        risks = true_risks(outputs, routing, alone, rng)
        for risk in RISKS:
            places = draw_streams(alone, streams // _KINDS, _PICTURES, rng)
            studies[risk] += follow(Followed(outputs, routing, risk, risks), places, rng)
    return _content("corrupted pictures, smallest", routing, studies)


def _shifted(bundle: Bundle, loaded: Splits, streams: int) -> Content:
    routing, rng = bundle.routing(1), np.random.default_rng(1)
    test = concatenate(loaded.test)
    pool = Examples(inputs=test.inputs[:_POOL], labels=test.labels[:_POOL])
    outputs, alone = bundle.outputs(1, pool), np.ones(_POOL, np.intp)
    risks = true_risks(outputs, routing, alone, rng)
    studies = []
    for factor in SHIFTS:
        weights = np.where(outputs.changed, float(factor), 1.0)
        later = _weighted_risks(outputs, routing, weights)
        for risk in RISKS:
            before = draw_streams(alone, streams, _SHIFT, rng)
            after = rng.choice(_POOL, (streams, _SHIFT), p=weights / weights.sum())
            places = np.concatenate([before, after], axis=1)
            followed = Followed(outputs, routing, risk, risks, later)
            found = follow(followed, places, rng, shift=_SHIFT)
            studies += _content(f"pictures, x{factor} half way", routing, {risk: found})["studies"]
    return {"studies": studies}


def _weighted_risks(outputs: Outputs, routing: Routing, weights: Doubles) -> Doubles:
    """Return the risk of each threshold if inputs come as often as their weights say, (T,)."""
    accept = np.array([one.accept_threshold for one in routing.plan.thresholds])
    kept = outputs.cloud_right - outputs.right <= accept[:, None]
    risks: Doubles = (kept & outputs.changed) @ weights / np.maximum(kept @ weights, 1e-9)
    return risks


def _content(name: str, routing: Routing, studies: dict[float, list[StreamResult]]) -> Content:
    return {
        "studies": [
            {
                "name": name,
                "risk": risk,
                "dependence": routing.plan.dependence,
                "results": [asdict(one) for one in found],
            }
            for risk, found in studies.items()
        ]
    }


def _bundle(task: Task, seed: int) -> tuple[Bundle, Splits, str]:
    """Return the bundle of a task from the cache, its data, and its version."""
    torch.set_num_threads(1)
    loaded = task.load_checked(None, seed)
    path = trained_repository(
        task, loaded, seed=seed, progress=SilentProgress(), cache=cache_folder()
    )
    repository = Repository(path)
    desired = repository.desired()
    assert desired is not None
    return Bundle.of(repository), loaded, desired.bundle_version


def _cells() -> Cells:
    return Cells(lambda line: print(line, flush=True), share=1 / _PROCESSES)
