"""Which widths a search may come by."""

import torch

from nestling_cloud.learning.nesting.slimming import Measure, measured_by, out_of_reach
from nestling_cloud.learning.nesting.width_cost import CostOf, Widths
from nestling_core.student.blocks import Conv
from nestling_core.student.config import StudentConfig


def units(config: StudentConfig) -> list[int]:
    """Channels of each layer with any of its own that come and go together: one a group."""
    return [block.groups for block in config.blocks if isinstance(block, Conv)]


def smallest_widths(
    config: StudentConfig, cost: CostOf, *, target: float, measure: Measure, floor: float
) -> Widths:
    """Channels that each layer keeps: one that starves is of no use to those after it.

    Args:
        config: a student of convolutions.
        cost: of given widths.
        target: share of the largest's cost that the smallest capacity may have.
        measure: of which cost.
        floor: share that is kept of the channels that a layer has where all are narrowed alike to
            the target.

    Raises:
        NestingError: not even one channel a group is within the target.
    """
    places = [whole // unit for whole, unit in zip(config.whole, units(config), strict=True)]
    whole, least = measured_by(measure, cost(config.whole)), 1.0
    for part in range(max(places), 0, -1):
        alike = [max(1, count * part // max(places)) for count in places]
        least = measured_by(measure, cost(_channels(config, alike))) / whole
        if least <= target:
            return _channels(config, [max(1, round(count * floor)) for count in alike])
    raise out_of_reach(target, least, measure)


def _channels(config: StudentConfig, places: list[int]) -> Widths:
    return tuple(unit * count for unit, count in zip(units(config), places, strict=True))


def random_widths(config: StudentConfig, smallest: Widths, generator: torch.Generator) -> Widths:
    """Draw widths as a path has them that steps down by shares: as many in every octave."""
    sizes = zip(config.whole, smallest, units(config), strict=True)
    return tuple(
        unit * round(least / unit * (whole / least) ** float(torch.rand((), generator=generator)))
        for whole, least, unit in sizes
    )
