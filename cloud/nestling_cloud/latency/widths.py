"""Generates random widths for students of one family."""

import math
from collections.abc import Sequence

import numpy as np

from nestling_core.student.blocks import Block, Conv, Gru, Lstm, Shuffle
from nestling_core.student.config import StudentConfig

Widths = tuple[int, ...]


def random_widths(config: StudentConfig, count: int, rng: np.random.Generator) -> list[Widths]:
    """Return the widths of several networks, one row for each network.

    The first row has the student's own widths, and the second has the smallest possible widths. In
    every other row, each width is a random fraction of the student's own width, between two limits
    that are drawn at random for the row. Without these limits, large and small fractions would
    balance out in every row, and hardly any network would be nearly as small as the student's
    smallest capacity or nearly as large as its largest.

    Args:
        config: the sizes of the student. Only its blocks are used.
        count: the number of rows.
        rng: the source of randomness.
    """
    steps = np.array(width_steps(config))
    most = np.array(config.whole) // steps
    rows = [most, np.ones_like(most)]
    while len(rows) < count:
        low, high = np.sort(rng.uniform(size=2))
        drawn = np.rint(rng.uniform(low, high, len(most)) * most).astype(np.int64)
        rows.append(np.maximum(drawn, 1))
    return [tuple(int(width) for width in row * steps) for row in rows[:count]]


def width_steps(config: StudentConfig) -> Widths:
    """Return the smallest width of each block that has its own width.

    The width of a block must be a multiple of this step. Otherwise, the channels could not be
    divided into the groups of the block and of the shuffles that follow it.
    """
    return tuple(
        _groups(block) * math.prod(_shuffles_after(config.blocks[index + 1 :]))
        for index, block in enumerate(config.blocks)
        if isinstance(block, Conv | Gru | Lstm)
    )


def _groups(block: Block) -> int:
    return block.groups if isinstance(block, Conv) else 1


def _shuffles_after(blocks: Sequence[Block]) -> list[int]:
    groups = []
    for block in blocks:
        if isinstance(block, Conv | Gru | Lstm):
            break
        if isinstance(block, Shuffle):
            groups.append(block.groups)
    return groups
