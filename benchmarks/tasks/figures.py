"""Summarizes the results of the benchmark of tasks, and compares them with their goals."""

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.report import Figure, figure
from benchmarks.tasks.plan import DIGITS, PICTURES
from benchmarks.tasks.results import Results, TaskResult
from benchmarks.tasks.routed import Quality

_KB = 1000
_LARGEST, _SMALL = 53, 8  # kB of the digits' nest


def figures(results: Results) -> dict[str, Figure]:
    """Return all figures of the parts that were run, in the order of the page."""
    found: dict[str, Figure] = {}
    tasks = results.tasks
    if PICTURES in tasks:
        found |= _pictures(tasks[PICTURES])
    if DIGITS in tasks:
        found |= _digits(tasks[DIGITS])
    for name, seeds in tasks.items():
        if seeds[0].margins is not None:
            found[f"{name}: hybrid - margin at the same share, worst case"] = figure(
                [worst_margin(seeds)], "points", goal=">= -0.1", anchor="the table below"
            )
    for name, score in (("anomaly", _f1), ("regression", _success)):
        if name in tasks:
            found |= _water_loop(name, tasks[name], score)
    return {**found, **_costs(results)}


def worst_margin(seeds: Sequence[TaskResult]) -> float:
    """Return our accuracy minus that of margin, in points, in the worst case.

    A case is a capacity, a share, and with or without the stream filter. Each is a mean over the
    seeds that have it.
    """
    cases: dict[tuple[str, str, float], list[float]] = {}
    for result in seeds:
        for start, ways in (result.margins or {}).items():
            for way, by_share in ways.items():
                for share, value in by_share.items():
                    cases.setdefault((start, way, share), []).append(value)
    return min(float(np.mean(values)) for values in cases.values())


def recovered(device: Sequence[float], routed: Sequence[float], cloud: Sequence[float]) -> float:
    """Return how much of the gap between device and cloud routing closes, %.

    The gap is that of the means over seeds. Where the cloud is no better than the device, there is
    no gap, and the result is not a number.
    """
    gap = float(np.mean(cloud) - np.mean(device))
    return 100 * float(np.mean(routed) - np.mean(device)) / gap if gap > 0 else float("nan")


def _pictures(seeds: Sequence[TaskResult]) -> dict[str, Figure]:
    return {
        "pictures: teacher": figure(
            [one.routed.cloud.success for one in seeds], "%", goal=">= 92", anchor="87.9 % before"
        ),
        "pictures: training of the teacher": figure(
            [one.learned.teacher_s / 60 for one in seeds], "min"
        ),
        "pictures: nest, int8, at most 100 kB": figure(
            [_best_within(one, 100) for one in seeds],
            "%",
            goal=">= 80",
            anchor="71.5 % before; MLPerf Tiny's ResNet-8 has 85 %",
        ),
    }


def _digits(seeds: Sequence[TaskResult]) -> dict[str, Figure]:
    teacher = [one.routed.cloud.success for one in seeds]
    return {
        "spoken digits: teacher": figure(teacher, "%", anchor="two speakers nobody trained on"),
        f"spoken digits: largest capacity up to {_LARGEST} kB - teacher": figure(
            [
                _best_within(one, _LARGEST) - cloud
                for one, cloud in zip(seeds, teacher, strict=True)
            ],
            "points",
            goal=">= -2",
            anchor="MLPerf Tiny's DS-CNN has 52.5 kB",
        ),
        f"spoken digits: largest capacity up to {_SMALL} kB - teacher": figure(
            [_best_within(one, _SMALL) - cloud for one, cloud in zip(seeds, teacher, strict=True)],
            "points",
            goal=">= -8",
        ),
    }


def _best_within(result: TaskResult, kb: float) -> float:
    """Return the accuracy of the largest capacity whose weights fit a size, %; 0 if none does."""
    fits = [size <= kb * _KB for size in result.learned.weights_bytes]
    return result.routed.device[sum(fits) - 1].success if any(fits) else 0.0


def _f1(quality: Quality) -> float:
    assert quality.f1 is not None
    return quality.f1


def _success(quality: Quality) -> float:
    return quality.success


def _water_loop(
    name: str, seeds: Sequence[TaskResult], score: Callable[[Quality], float]
) -> dict[str, Figure]:
    what, title = ("F1" if score is _f1 else "within the tolerance"), f"water loop, {name}"
    cloud = [score(one.routed.cloud) for one in seeds]
    found = {f"{title}: cloud alone, {what}": figure(cloud, "%")}
    if score is _f1:
        alarms = [one.routed.cloud.false_alarms or 0.0 for one in seeds]
        found[f"{title}: cloud alone, false alarms"] = figure(alarms, "%", anchor="normal windows")
    for place, capacity in ((0, "smallest"), (-1, "largest")):
        device = [score(one.routed.device[place]) for one in seeds]
        routed = [score(one.routed.routed[place]) for one in seeds]
        found[f"{title}: {capacity} capacity alone, {what}"] = figure(device, "%")
        found[f"{title}: {capacity} capacity routed at 10 %, {what}"] = figure(routed, "%")
        closed = recovered(device, routed, cloud)
        if np.isfinite(closed):
            found[f"{title}: {capacity} capacity, part of the gap recovered"] = figure(
                [closed], "%", goal=">= 80", anchor="gap between the device and the cloud alone"
            )
    return found


def _costs(results: Results) -> dict[str, Figure]:
    found = {}
    for name, goal in (("pictures", "== 0"), ("sounds", "== 0"), ("onnx", "<= 15")):
        if name in results.lines:
            found[f"lines of a user's file: {name}"] = figure(
                [results.lines[name]], goal=goal, anchor="12 to 17 before"
            )
    if results.memory:
        memory = results.memory
        found[f"training on {memory['pictures']:,.0f} pictures of 96 x 96 x 3: peak memory"] = (
            figure(
                [memory["peak_mb"]],
                "MB",
                goal=f"<= {2000 + memory['model_mb']:.0f}",
                anchor=(f"{memory['as_float32_mb']:,.0f} MB as float32"),
            )
        )
    if results.simulated:
        found["first run of make simulate"] = figure(
            [one["total_s"] for one in results.simulated], "s", goal="<= 240"
        )
        found["first run of make simulate: accuracy"] = figure(
            [100 * one["accuracy"]["hybrid"] for one in results.simulated],
            "%",
            goal=">= 77.9",
            anchor="78.0 % before",
        )
    return found
