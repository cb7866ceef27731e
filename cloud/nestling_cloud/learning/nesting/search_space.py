"""Define the widths that a search may visit."""

import torch

from nestling_cloud.learning.nesting.slimming import Measure, measured_by, out_of_reach
from nestling_cloud.learning.nesting.width_cost import CostOf, Widths
from nestling_core.student.blocks import Conv
from nestling_core.student.config import StudentConfig


def units(config: StudentConfig) -> list[int]:
    """Return, for each layer with its own channels, how many change together: one per group."""
    return [block.groups for block in config.blocks if isinstance(block, Conv)]


def smallest_widths(
    config: StudentConfig, cost: CostOf, *, target: float, measure: Measure, floor: float
) -> Widths:
    """Return the widths that every layer keeps; too narrow a layer would starve those after it.

    Args:
        config: a student of convolutions.
        cost: returns the cost of given widths.
        target: share of the largest capacity's cost that the smallest capacity may have.
        measure: the cost that counts.
        floor: share of its channels that a layer keeps, relative to the widths where all layers are
            narrowed evenly to the target.

    Raises:
        NestingError: even one channel per group costs more than the target.
    """
    places = [whole // unit for whole, unit in zip(config.whole, units(config), strict=True)]
    whole, least = measured_by(measure, cost(config.whole)), 1.0
    for part in range(max(places), 0, -1):
        even = [max(1, count * part // max(places)) for count in places]
        least = measured_by(measure, cost(_channels(config, even))) / whole
        if least <= target:
            return _channels(config, [max(1, round(count * floor)) for count in even])
    raise out_of_reach(target, least, measure)


def _channels(config: StudentConfig, places: list[int]) -> Widths:
    return tuple(unit * count for unit, count in zip(units(config), places, strict=True))


def random_widths(config: StudentConfig, smallest: Widths, generator: torch.Generator) -> Widths:
    """Draw widths log-uniformly between the smallest and the largest of each layer.

    A search shrinks layers by shares, so the widths on its path are spread the same way.

    Args:
        config: a student of convolutions.
        smallest: the smallest width of each layer.
        generator: for the draws.
    """
    sizes = zip(config.whole, smallest, units(config), strict=True)
    return tuple(
        unit * round(least / unit * (whole / least) ** float(torch.rand((), generator=generator)))
        for whole, least, unit in sizes
    )
