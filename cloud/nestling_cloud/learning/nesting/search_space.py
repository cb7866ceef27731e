"""Defines the widths (channels of each layer) that a width search may visit."""

import torch

from nestling_cloud.learning.nesting.slimming import Measure, measured_by, out_of_reach
from nestling_cloud.learning.nesting.width_cost import CostOf, Widths
from nestling_core.student.blocks import Conv
from nestling_core.student.config import StudentConfig


def units(config: StudentConfig) -> list[int]:
    """Return for each convolution the number of channels that change together, one per group.

    Depthwise convolutions are left out, because they have no channels of their own.
    """
    return [block.groups for block in config.blocks if isinstance(block, Conv)]


def smallest_widths(
    config: StudentConfig, cost: CostOf, *, target: float, measure: Measure, floor: float
) -> Widths:
    """Return the smallest widths that a search may give to the layers.

    A narrower layer would starve the layers after it. The widths are a share of those at which the
    student meets the target when all layers are narrowed evenly.

    Args:
        config: the sizes of a student that has only convolutions.
        cost: the function that returns the cost of given widths.
        target: the share of the largest capacity's cost that the smallest capacity may have.
        measure: the kind of cost that counts.
        floor: the smallest share of its evenly narrowed width that a layer keeps, 0 to 1.

    Raises:
        NestingError: the student costs more than the target however much it is narrowed.
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
    """Return random widths, each between the smallest and the largest width of its layer.

    The distribution is log-uniform, like the widths on the path of a search, which shrinks layers
    by shares of their widths.

    Args:
        config: the sizes of a student that has only convolutions.
        smallest: the smallest width of each layer.
        generator: the random generator for the draws.
    """
    sizes = zip(config.whole, smallest, units(config), strict=True)
    return tuple(
        unit * round(least / unit * (whole / least) ** float(torch.rand((), generator=generator)))
        for whole, least, unit in sizes
    )
