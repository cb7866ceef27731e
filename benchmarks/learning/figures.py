"""Computes the figures of the learning benchmark, with their goals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.learning.domains import STUDENTS
from benchmarks.learning.rounding import byte_counts
from benchmarks.learning.seed_result import ByTask, SeedResult
from benchmarks.learning.speed import Latencies
from benchmarks.report import Figure, figure

_SMALLEST = "smallest over tasks and capacities, each a mean over seeds"


def figures(
    by_task: ByTask,
    latencies: Mapping[str, Latencies],
    summaries: Sequence[Mapping[str, Any]],
    minutes: float,
) -> dict[str, Figure]:
    """Return all figures in the order of the page.

    Args:
        by_task: a mapping from task to the results of its seeds.
        latencies: a mapping from task to the latencies of the first seed's full nest.
        summaries: the summary of a first run of the default scenario for each seed; empty if the
            scenario was not run.
        minutes: the total time of the benchmark, minutes.

    Returns:
        A mapping from the name of a figure to the figure.
    """
    figures: dict[str, Figure] = {}
    if "fashion" in by_task:
        figures |= _fashion(by_task["fashion"])
    figures |= _nesting(by_task)
    figures["int8 minus float32, smallest"] = _smallest(
        [
            np.mean(
                [np.subtract(r.rounded["test"], r.rounded["float_test"]) for r in results], axis=0
            )
            for results in by_task.values()
        ]
    )
    figures |= _sizes(by_task)
    if "fashion" in latencies:
        floats, integers = latencies["fashion"][-1]
        figures["int8 speed-up, fashion largest"] = figure(
            [floats / integers], "times", goal=">= 2"
        )
    if domains := [result.domains for result in by_task.get("wearable", ()) if result.domains]:
        figures["domain gap recovered"] = figure([_recovered(domains)], goal=">= 0.5")
    if summaries:
        figures |= _first_runs(summaries)
    figures["benchmark, total time"] = figure(
        [minutes],
        "min",
        goal="<= 150",
        anchor="time of each cell when it was made, halved where two are made at a time",
    )
    return figures


def _fashion(results: Sequence[SeedResult]) -> dict[str, Figure]:
    teachers, rounded = [r.teacher for r in results], [r.rounded for r in results]
    minutes = [teacher["seconds"] / 60 for teacher in teachers]
    rings = [byte_counts(content, "ring") for content in rounded]
    return {
        "fashion teacher": figure([t["accuracy"] for t in teachers], "%", goal=">= 94.0"),
        "fashion teacher, training": figure(minutes, "min", goal="<= 30"),
        "fashion largest, int8": figure([r["test"][-1] for r in rounded], "%", goal=">= 92.5"),
        "fashion weight store": figure([r.sum() / 1000 for r in rings], "kB", goal="<= 300"),
        "fashion smallest, int8": figure([r["test"][0] for r in rounded], "%", goal=">= 86.5"),
        "fashion smallest, weights": figure([r[0] / 1000 for r in rings], "kB", goal="<= 12"),
    }


def _nesting(by_task: ByTask) -> dict[str, Figure]:
    differences = [
        np.array([np.subtract(result.nested, result.alone) for result in results])  # (seeds, K)
        for results in by_task.values()
    ]
    over_capacities = np.concatenate(differences, axis=1).mean(1)
    return {
        "nested minus alone, mean": figure(over_capacities.tolist(), "points", goal=">= 0"),
        "nested minus alone, smallest": _smallest([d.mean(0) for d in differences]),
    }


def _smallest(differences: Sequence[np.ndarray]) -> Figure:
    """Return the figure of the smallest difference over tasks and capacities.

    Args:
        differences: for each task, the mean difference over seeds of each capacity, (K,), points.
    """
    smallest = float(np.concatenate(differences).min())
    return figure([smallest], "points", goal=">= -0.3", anchor=_SMALLEST)


def _sizes(by_task: ByTask) -> dict[str, Figure]:
    """Return the figures on ratios of sizes, which are the same for every seed."""
    rounded = {task: results[0].rounded for task, results in by_task.items()}
    ratios = {
        f"{task} weight store / largest": figure(
            [float(byte_counts(content, "ring").sum() / content["largest_weights"])], goal="<= 1.05"
        )
        for task, content in rounded.items()
    }
    for task, content in rounded.items():
        templates, weights = byte_counts(content, "template"), byte_counts(content, "ring").cumsum()
        store, separate = weights[-1] + templates.sum(), (weights + templates).sum()
        ratios[f"{task} store / separate int8 models"] = figure(
            [float(weights[-1] / weights.sum())], goal="<= 0.6"
        )
        ratios[f"{task} store and templates / separate int8 models"] = figure(
            [float(store / separate)]
        )
    return ratios


def _recovered(domains: Sequence[Mapping[str, Sequence[float]]]) -> float:
    """Return the fraction of the domain gap that adaptation closed.

    The gap is the difference in accuracy between students that learned only from the source domain
    and students that learned from the labeled target domain. The accuracies are averaged over seeds
    and capacities before the fraction is computed, because a seed with a small gap would dominate a
    mean of fractions.
    """
    source_only, adapted, target_trained = (
        np.mean([content[student] for content in domains]) for student in STUDENTS
    )
    return float((adapted - source_only) / (target_trained - source_only))


def _first_runs(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    seconds = [summary["total_s"] for summary in summaries]
    figures = {"simulate, first run": figure(seconds, "s", goal="<= 240")}
    for mode, goal in (("device_only", ">= 77.2"), ("hybrid", ">= 81.0")):
        accuracies = [100 * summary["accuracy"][mode] for summary in summaries]
        figures[f"simulate, {mode.replace('_', ' ')}"] = figure(
            accuracies, "%", goal=goal, anchor="docs/results/simulate.md before this benchmark"
        )
    return figures
