"""Greedy slimming: which widths to give up first. Pure decisions over accuracies and costs.

AutoSlim (Yu & Huang 2019): from the largest widths, each step tries to shrink every layer by one
step of channels and keeps the trial that loses least accuracy for what it saves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from nestling_cloud.nesting.cost import Cost, CostOf, Widths
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


def slim(
    whole: Widths,
    *,
    steps: Widths,
    smallest: Widths,
    accuracy: Callable[[Widths], float],
    cost: CostOf,
    measure: Measure,
) -> list[PathPoint]:
    """Walk from the largest widths to the smallest.

    Args:
        whole: channels of every layer at the largest.
        steps: channels that a layer loses in one step.
        smallest: channels that each layer keeps at least.
        accuracy: of given widths, larger is better.
        cost: of given widths.
        measure: what is to be saved.

    Returns:
        The path, largest first. Each point nests in the one before it.

    Raises:
        NestingError: steps that shrink nothing, or smallest widths beyond the largest.
    """
    if min(steps) < 1 or any(not 1 <= s <= w for s, w in zip(smallest, whole, strict=True)):
        raise NestingError(f"from {whole} in steps of {steps} no way leads to {smallest}")
    path = [PathPoint(widths=whole, accuracy=accuracy(whole), cost=cost(whole))]
    while trials := _shrunk(path[-1].widths, steps, smallest):
        points = [
            PathPoint(widths=widths, accuracy=accuracy(widths), cost=cost(widths))
            for widths in trials
        ]
        path.append(min(points, key=lambda point: _loss_for_saving(path[-1], point, measure)))
    return path


def _shrunk(widths: Widths, steps: Widths, smallest: Widths) -> list[Widths]:
    return [
        (*widths[:layer], widths[layer] - step, *widths[layer + 1 :])
        for layer, step in enumerate(steps)
        if widths[layer] - step >= smallest[layer]
    ]


def _loss_for_saving(last: PathPoint, trial: PathPoint, measure: Measure) -> tuple[bool, float]:
    """Smaller is better; a trial that saves nothing comes after all that do."""
    saved = measured_by(measure, last.cost) - measured_by(measure, trial.cost)
    lost = last.accuracy - trial.accuracy
    return (False, lost / saved) if saved > 0 else (True, lost)


def choose(
    path: Sequence[PathPoint], targets: Sequence[float], measure: Measure
) -> list[PathPoint]:
    """Take the first point of the path within each target.

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
    if list(targets) != sorted(set(targets)) or not targets or targets[-1] != 1:
        raise NestingError(f"targets {tuple(targets)} must rise and end at 1")
    whole = measured_by(measure, path[0].cost)
    found = []
    for target in targets:
        within = [p for p in path if measured_by(measure, p.cost) <= target * whole]
        if not within:
            least = min(measured_by(measure, point.cost) for point in path) / whole
            raise NestingError(
                f"target {target} is out of reach: the smallest widths take {least:.3f} of the "
                f"largest's {measure}"
            )
        found.append(within[0])
    if len({point.widths for point in found}) < len(found):
        raise NestingError(f"targets {tuple(targets)} are too close for the steps of the search")
    return found
