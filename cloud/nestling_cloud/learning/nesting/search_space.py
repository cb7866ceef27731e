"""Defines the widths (channels of each layer) that a width search may visit."""

import torch

from nestling_cloud.learning.nesting.slimming import Measure, measured_by, out_of_reach
from nestling_cloud.learning.nesting.width_cost import CostOf, Widths
from nestling_core.student.blocks import Conv
from nestling_core.student.config import StudentConfig


def units(config: StudentConfig) -> list[int]:
    """Return the number of channels that a search adds or removes together, for each convolution.

    That is one channel in each of the layer's groups. Depthwise convolutions are left out, because
    they have the same channels as the layer before them.
    """
    return [block.groups for block in config.blocks if isinstance(block, Conv)]


def smallest_widths(
    config: StudentConfig, cost: CostOf, *, target: float, measure: Measure, floor: float
) -> Widths:
    """Return the smallest widths that a search may give to the layers.

    The function first narrows all layers evenly until the student meets the target. The smallest
    width of a layer is its width at this point times `floor`. A narrower layer would pass too
    little information to the layers after it.

    Args:
        config: the sizes of a student that has only convolutions.
        cost: the function that returns the cost of given widths.
        target: the highest cost allowed for the smallest capacity, as a share of the largest
            capacity's cost.
        measure: the kind of cost that counts.
        floor: the smallest width of a layer, as a share of its evenly narrowed width, 0 to 1.

    Returns:
        The smallest number of channels of each convolution that is not depthwise, in order.

    Raises:
        NestingError: the student costs more than the target even after all layers are narrowed
            evenly as far as possible.
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

    The distribution is log-uniform. The widths on the path of a search have about this
    distribution, because a search narrows each layer by shares of its width.

    Args:
        config: the sizes of a student that has only convolutions.
        smallest: the smallest width of each layer.
        generator: the random generator for the widths.
    """
    sizes = zip(config.whole, smallest, units(config), strict=True)
    return tuple(
        unit * round(least / unit * (whole / least) ** float(torch.rand((), generator=generator)))
        for whole, least, unit in sizes
    )
