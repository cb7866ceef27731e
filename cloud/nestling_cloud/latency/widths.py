"""Draws random widths for students of one family."""

import math
from collections.abc import Sequence

import numpy as np

from nestling_core.student.blocks import Block, Conv, Gru, Lstm, Shuffle
from nestling_core.student.config import StudentConfig

Widths = tuple[int, ...]


def random_widths(config: StudentConfig, count: int, rng: np.random.Generator) -> list[Widths]:
    """Return rows of random widths, each at most the student's own width.

    The first row has the student's own widths and the second the smallest possible widths. In every
    other row, each width is a random share of the student's own, between two limits that are drawn
    for the row. Without such limits, all rows would have similar sums over the layers, and no row
    would be as small or as large as capacities (the sizes of a student) are.

    Args:
        config: the sizes of the student.
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
    """Return the step of each width.

    A width must be a multiple of its step, so that the groups of the block, and the groups of the
    shuffles that follow the block, divide the width evenly.
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
