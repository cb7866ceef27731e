"""Computes the figures of the routing benchmark, with their goals."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from benchmarks.report import Figure, figure
from benchmarks.routing.cascade import CascadeResult
from benchmarks.routing.costs import RouterCost
from benchmarks.routing.curves import OURS
from benchmarks.routing.seed_result import CASCADE, STARTS, ByTask, SeedResult, interval

# Gap to recover from each start, %.
_GOALS = {"smallest": 95, "second": 100}
# Rivals with a goal: name in the figure, and name of the router.
_BEATEN = {
    "max-softmax": "max-softmax",
    "entropy": "entropy",
    "margin": "margin",
    "Sedna's": "Sedna cross entropy",
    "AppealNet-style": "AppealNet head",
}


def figures(
    by_task: ByTask, costs: Mapping[str, Sequence[RouterCost]], minutes: float
) -> dict[str, Figure]:
    """Return the figures of all tasks, and the total time.

    Args:
        by_task: a mapping from task to the results of its seeds.
        costs: a mapping from task to the multiplexer's cost for each seed.
        minutes: the total time of the benchmark for models and routers, minutes.

    Returns:
        A mapping from the name of a figure to the figure.
    """
    figures: dict[str, Figure] = {}
    for task, results in by_task.items():
        of_task = _costs(costs[task])
        for start in STARTS:
            of_task |= _start_figures(results, start)
        of_task |= _cascade_figures(results)
        figures |= {f"{task}: {name}": value for name, value in of_task.items()}
    figures["benchmark, total time"] = figure(
        [minutes], "min", goal="<= 90", anchor="with the models of the learning benchmark"
    )
    return figures


def _start_figures(results: Sequence[SeedResult], start: str) -> dict[str, Figure]:
    """Return the figures of routers on a device that runs only one capacity.

    Args:
        results: the results of all seeds.
        start: the name of the capacity, a key of `STARTS`.
    """
    index = STARTS[start]
    softmax = _mean(_recovered(result, "max-softmax", index) for result in results)
    figures = {
        "gap recovered at 20 %": figure(
            [_recovered(result, OURS, index) for result in results],
            "%",
            goal=f">= {_GOALS[start]}",
            anchor=f"max-softmax {softmax:.1f}",
        ),
        "accuracy at 30 % minus the cloud's": figure(
            [r.accuracy(OURS, index, 0.3) - r.cloud for r in results], "points", goal="> 0"
        ),
        "cloud compute saved at the cloud's accuracy": figure(
            _cloud_savings((result, result.at_once[start]) for result in results),
            "times",
            goal=">= 4",
            anchor="arXiv 2001.05870: 2.85",
        ),
        "energy against the best confidence rule": figure(
            [_mean(draw.energy_saving for draw in result.at_once[start]) for result in results],
            "%",
            goal="<= -20",
        ),
        "share off target under drift, worst window of 500": _deviation(results, start),
    }
    if start == "smallest":
        most = _mean(result.cloud - float(result.device[0]) for result in results)
        figures["gain over the device alone at 30 %"] = figure(
            [r.accuracy(OURS, 0, 0.3) - float(r.device[0]) for r in results],
            "points",
            goal=">= 8.5",
            anchor=f"the cloud alone gains {most:.2f}; arXiv 2001.05870: 8.52",
        )
    for name, rival in _BEATEN.items():
        mean, low, high = interval([result.area_differences[rival][index] for result in results])
        figures[f"area gain over {name}, lower bound"] = figure(
            [low], "points", goal="> 0", anchor=f"mean {mean:+.3f}, up to {high:+.3f}"
        )
    return {f"{name}, from the {start}": value for name, value in figures.items()}


def _cascade_figures(results: Sequence[SeedResult]) -> dict[str, Figure]:
    """Return the figures of devices that run a cascade.

    Such a device holds the whole nest (all capacities) or its first two capacities.
    """
    largest = [(result, result.cascades["largest"]) for result in results]
    softmax = _mean(r.recovered(r.accuracy("max-softmax", -1, 0.2), 0) for r in results)
    figures = {
        "gap recovered at 20 %, in a cascade": figure(
            [_mean(r.recovered(c.at(0.2), 0) for c in cascades) for r, cascades in largest],
            "%",
            anchor="gap from the smallest to the cloud; max-softmax from the largest at once "
            f"{softmax:.1f}",
        ),
        "accuracy at 30 % minus the cloud's, in a cascade": figure(
            [_mean(c.at(0.3) - r.cloud for c in cascades) for r, cascades in largest], "points"
        ),
        "device compute in a cascade / the largest at once": figure(
            [_mean(c.macs for c in cascades) for _, cascades in largest], ""
        ),
        "cloud compute saved at the cloud's accuracy, in a cascade": figure(
            _cloud_savings(largest), "times"
        ),
        "share off target under drift, worst window of 500, in a cascade": _deviation(
            results, CASCADE
        ),
    }
    for place in ("second", "largest"):
        figures[f"energy against the best confidence rule, in the cascade to the {place}"] = figure(
            [_mean(c.energy_saving for c in result.cascades[place]) for result in results],
            "%",
            goal="<= -20",
            anchor=f"the rule runs the {place} capacity at once",
        )
    return figures


def _costs(costs: Sequence[RouterCost]) -> dict[str, Figure]:
    return {
        f"multiplexer's {name} / the smallest capacity's": figure(values, goal="<= 0.25")
        for name, values in (
            ("latency", [cost.latency for cost in costs]),
            ("bytes", [cost.bytes for cost in costs]),
        )
    }


def _cloud_savings(results: Iterable[tuple[SeedResult, Sequence[CascadeResult]]]) -> list[float]:
    """Return the mean factor by which our router reduces the cloud's compute, for each seed.

    The router sends just enough inputs to be as accurate as the cloud. A fit of the router is left
    out if the device is that accurate without offloads. A seed is left out if it has only such
    fits.

    Args:
        results: pairs of a seed's result and the results of each fit of the router under one rule.
    """
    by_seed = [
        [draw.cloud_saving for draw in draws if draw.alone < result.cloud]
        for result, draws in results
    ]
    return [_mean(savings) for savings in by_seed if savings]


def _recovered(result: SeedResult, router: str, index: int) -> float:
    return result.recovered(result.accuracy(router, index, 0.2), index)


def _deviation(results: Sequence[SeedResult], rule: str) -> Figure:
    fixed = _mean(result.rules[rule].fixed.deviation for result in results)
    return figure(
        [result.rules[rule].controlled.deviation for result in results],
        "points",
        goal="<= 2",
        anchor=f"fixed thresholds: {fixed:.1f}",
    )


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
