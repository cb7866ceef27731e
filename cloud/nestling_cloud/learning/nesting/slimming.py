"""Decides in which order channels are removed from layers, based on accuracies and costs.

This is the greedy search of AutoSlim (Yu & Huang 2019). It starts at the largest widths. In each
step, the search tries narrowing each layer in turn, and keeps the trial with the smallest drop in
accuracy per unit of cost saved. A trial removes a share of the layer's remaining channels instead
of a fixed number, so that even a narrow layer shrinks in small steps.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nestling_cloud.learning.nesting.width_cost import Cost, CostOf, Widths
from nestling_cloud.recipes.nesting import NestingError

Measure = Literal["bytes", "latency"]


@dataclass(frozen=True, kw_only=True)
class PathPoint:
    """One set of widths that a search visited, with its accuracy and cost.

    Attributes:
        widths: the number of channels of each layer that is not depthwise.
        accuracy: the accuracy of the supernet (a student that runs at any widths) at these widths.
        cost: the cost of these widths on a device.
    """

    widths: Widths
    accuracy: float
    cost: Cost


def measured_by(measure: Measure, cost: Cost) -> float:
    """Return the bytes or the latency (in microseconds) of a cost, depending on the measure.

    Args:
        measure: the kind of cost that counts.
        cost: the cost of some widths.
    """
    return float(cost.bytes) if measure == "bytes" else cost.latency_us


def ladder(whole: int, *, unit: int, least: int, step: float) -> list[int]:
    """Return the widths that one layer passes through as a search narrows it, the largest first.

    Args:
        whole: the largest width, in channels.
        unit: the number of channels that change together.
        least: the smallest width allowed, in channels.
        step: the share of its remaining channels that the layer loses in a step, rounded down to a
            multiple of `unit`, but at least one unit. The last step may be smaller.

    Raises:
        NestingError: `unit` is less than 1, or `least` is not between 1 and `whole`.
    """
    if unit < 1 or not 1 <= least <= whole:
        raise NestingError(f"{whole} channels cannot be narrowed to {least} in steps of {unit}")
    widths = [whole]
    while units := (widths[-1] - least) // unit:
        lost = max(1, int(widths[-1] / unit * step))
        widths.append(widths[-1] - unit * min(lost, units))
    return widths


def slim(
    ladders: Sequence[Sequence[int]],
    *,
    accuracy: Callable[[Widths], float],
    cost: CostOf,
    measure: Measure,
) -> Iterator[PathPoint]:
    """Yield the path of a greedy search from the largest widths to the smallest.

    Args:
        ladders: for each layer, the widths that it passes through, the largest first.
        accuracy: the function that returns the accuracy at given widths.
        cost: the function that returns the cost of given widths.
        measure: the kind of cost to reduce.

    Yields:
        The points of the path, the largest first. From each point to the next, one layer becomes
        narrower. The number of points is 1 + the sum of `len(ladder) - 1` over the ladders.
    """

    def point_of(rungs: tuple[int, ...]) -> PathPoint:
        widths = tuple(widths[rung] for widths, rung in zip(ladders, rungs, strict=True))
        return PathPoint(widths=widths, accuracy=accuracy(widths), cost=cost(widths))

    rungs = (0,) * len(ladders)
    last = point_of(rungs)
    yield last
    while trials := _lower(rungs, ladders):
        points = {trial: point_of(trial) for trial in trials}
        rungs = min(trials, key=lambda trial: _loss_for_saving(last, points[trial], measure))
        last = points[rungs]
        yield last


def _lower(rungs: tuple[int, ...], ladders: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    return [
        (*rungs[:layer], rungs[layer] + 1, *rungs[layer + 1 :])
        for layer, widths in enumerate(ladders)
        if rungs[layer] + 1 < len(widths)
    ]


def _loss_for_saving(last: PathPoint, trial: PathPoint, measure: Measure) -> tuple[bool, float]:
    """Return a sort key that puts the smallest drop in accuracy per unit of cost saved first.

    Trials that save no cost come last, in the order of their drop in accuracy.
    """
    saved = measured_by(measure, last.cost) - measured_by(measure, trial.cost)
    lost = last.accuracy - trial.accuracy
    return (False, lost / saved) if saved > 0 else (True, lost)


def check_targets(targets: Sequence[float]) -> None:
    """Raise NestingError unless the targets are above 0, rise strictly and end at 1.

    Raises:
        NestingError: the targets are not above 0, do not rise strictly or do not end at 1.
    """
    if list(targets) != sorted(set(targets)) or not targets or targets[0] <= 0 or targets[-1] != 1:
        raise NestingError(f"targets {tuple(targets)} must rise from above 0 and end at 1")


def choose(
    path: Sequence[PathPoint], targets: Sequence[float], measure: Measure
) -> list[PathPoint]:
    """Return, for each target, the widest point of a search's path that meets it.

    Args:
        path: the points that the search visited, the largest first.
        targets: the highest cost allowed for each capacity, as a share of the largest capacity's
            cost. The shares rise to 1.
        measure: the kind of cost that counts.

    Returns:
        One point for each target, the smallest first.

    Raises:
        NestingError: the targets do not rise strictly from above 0 to 1, no point meets a target,
            or two targets lead to the same widths.
    """
    check_targets(targets)
    whole = measured_by(measure, path[0].cost)
    found = []
    for target in targets:
        within = [p for p in path if measured_by(measure, p.cost) <= target * whole]
        if not within:
            least = min(measured_by(measure, point.cost) for point in path) / whole
            raise out_of_reach(target, least, measure)
        found.append(within[0])
    if len({point.widths for point in found}) < len(found):
        raise NestingError(
            f"targets {tuple(targets)} are too close for the steps of the search: remove one"
        )
    return found


def out_of_reach(target: float, least: float, measure: Measure) -> NestingError:
    """Return the error for a target that even the smallest widths do not meet.

    Args:
        target: the target, as a share of the cost of the largest widths.
        least: the cost of the smallest widths, as a share of the cost of the largest widths.
        measure: the kind of cost that counts.
    """
    return NestingError(
        f"target {target} is out of reach: the smallest widths take {least:.3f} of the largest's "
        f"{measure}; raise the target"
    )
