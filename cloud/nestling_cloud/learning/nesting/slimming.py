"""Slim greedily: decide which widths to give up first. Pure decisions over accuracies and costs.

AutoSlim (Yu & Huang 2019): starting at the largest widths, each step tries to shrink every layer by
one step of channels and keeps the trial that loses least accuracy per saved cost. A step is a share
of the layer's remaining channels, so that steps are fine at the small end too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nestling_cloud.learning.nesting.width_cost import Cost, CostOf, Widths
from nestling_cloud.recipes.nesting import NestingError

Measure = Literal["bytes", "latency"]


@dataclass(frozen=True, kw_only=True)
class PathPoint:
    """Widths on the path of a search.

    Attributes:
        widths: channels of each layer.
        accuracy: of the supernet at these widths.
        cost: on a device.
    """

    widths: Widths
    accuracy: float
    cost: Cost


def measured_by(measure: Measure, cost: Cost) -> float:
    """Return the chosen measure of a cost, in bytes or microseconds.

    Args:
        measure: the cost that counts.
        cost: of given widths.
    """
    return float(cost.bytes) if measure == "bytes" else cost.latency_us


def ladder(whole: int, *, unit: int, least: int, step: float) -> list[int]:
    """Return the widths that one layer steps down through, starting at the largest.

    Args:
        whole: largest width, in channels.
        unit: channels that change together.
        least: smallest width, in channels.
        step: share of its remaining channels that a layer loses in a step, at least one unit.

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
    """Walk from the largest widths to the smallest.

    Args:
        ladders: the widths that each layer steps down through.
        accuracy: returns the accuracy at given widths.
        cost: returns the cost of given widths.
        measure: the cost to save.

    Yields:
        The path, largest first, `1 + sum(len(ladder) - 1)` points. The widths of each point are
        contained in those of the point before it.
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
    """Return a sort key, smaller is better; trials that save nothing come last."""
    saved = measured_by(measure, last.cost) - measured_by(measure, trial.cost)
    lost = last.accuracy - trial.accuracy
    return (False, lost / saved) if saved > 0 else (True, lost)


def check_targets(targets: Sequence[float]) -> None:
    """Refuse targets that do not rise to 1.

    Raises:
        NestingError: targets that do not rise to 1.
    """
    if list(targets) != sorted(set(targets)) or not targets or targets[0] <= 0 or targets[-1] != 1:
        raise NestingError(f"targets {tuple(targets)} must rise from above 0 and end at 1")


def choose(
    path: Sequence[PathPoint], targets: Sequence[float], measure: Measure
) -> list[PathPoint]:
    """Choose the widest point of the path within each target.

    Args:
        path: largest first.
        targets: shares of the largest capacity's cost, rising, the last 1.
        measure: the cost that counts.

    Returns:
        One point per target, smallest first.

    Raises:
        NestingError: the targets do not rise to 1, one is below the end of the path, or two lead to
            the same widths.
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
    """Make the error for a target below the cost of the smallest widths.

    Args:
        target: share of the largest cost.
        least: cost of the smallest widths, as a share of the largest cost.
        measure: the cost that counts.
    """
    return NestingError(
        f"target {target} is out of reach: the smallest widths take {least:.3f} of the largest's "
        f"{measure}; raise the target"
    )
