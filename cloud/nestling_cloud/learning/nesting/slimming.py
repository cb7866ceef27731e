"""Greedy slimming: which widths to give up first. Pure decisions over accuracies and costs.

AutoSlim (Yu & Huang 2019): from the largest widths, each step tries to shrink every layer by one
step of channels and keeps the trial that loses least accuracy for what it saves. A step is a share
of what the layer has left, so that it is as fine at the small end as at the large one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nestling_cloud.learning.nesting.width_cost import Cost, CostOf, Widths
from nestling_cloud.recipes.nesting import NestingError

Measure = Literal["bytes", "latency"]


@dataclass(frozen=True, kw_only=True)
class PathPoint:
    """Widths that the search came by, what they reach and what they cost."""

    widths: Widths
    accuracy: float
    cost: Cost


def measured_by(measure: Measure, cost: Cost) -> float:
    """The one of a cost's numbers that counts."""
    return float(cost.bytes) if measure == "bytes" else cost.latency_us


def ladder(whole: int, *, unit: int, least: int, step: float) -> list[int]:
    """The widths that one layer steps down, from its largest.

    Args:
        whole: channels at the largest.
        unit: channels that come and go together.
        least: channels that are kept.
        step: share of the channels it still has that a layer loses in a step, a unit at least.

    Raises:
        NestingError: steps that shrink nothing, or more to keep than there is.
    """
    if unit < 1 or not 1 <= least <= whole:
        raise NestingError(f"from {whole} in steps of {unit} no way leads to {least}")
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
        ladders: the widths that each layer steps down.
        accuracy: of given widths, larger is better.
        cost: of given widths.
        measure: what is to be saved.

    Yields:
        The path, largest first; `1 + sum(len(ladder) - 1)` points. Each nests in the one before it.
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
    """Smaller is better; a trial that saves nothing comes after all that do."""
    saved = measured_by(measure, last.cost) - measured_by(measure, trial.cost)
    lost = last.accuracy - trial.accuracy
    return (False, lost / saved) if saved > 0 else (True, lost)


def check_targets(targets: Sequence[float]) -> None:
    """Refuse targets that are none.

    Raises:
        NestingError: targets that do not rise to 1.
    """
    if list(targets) != sorted(set(targets)) or not targets or targets[0] <= 0 or targets[-1] != 1:
        raise NestingError(f"targets {tuple(targets)} must rise from above 0 and end at 1")


def choose(
    path: Sequence[PathPoint], targets: Sequence[float], measure: Measure
) -> list[PathPoint]:
    """Take the widest point of the path within each target.

    Args:
        path: largest first.
        targets: shares of the largest's cost, rising, the last 1.
        measure: of which cost.

    Returns:
        One point a target, smallest first.

    Raises:
        NestingError: targets that do not rise to 1, one below the end of the path, or two that lead
            to the same widths.
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
            f"targets {tuple(targets)} are too close for the steps of the search: leave one out"
        )
    return found


def out_of_reach(target: float, least: float, measure: Measure) -> NestingError:
    """Make the error for a target below what the smallest widths take, a share of the largest."""
    return NestingError(
        f"target {target} is out of reach: the smallest widths take {least:.3f} of the largest's "
        f"{measure}"
    )
