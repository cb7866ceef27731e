"""Draw random widths of a student."""

import math
from collections.abc import Sequence

import numpy as np

from nestling_core.student.blocks import Block, Conv, Gru, Lstm, Shuffle
from nestling_core.student.config import StudentConfig

Widths = tuple[int, ...]


def random_widths(config: StudentConfig, count: int, rng: np.random.Generator) -> list[Widths]:
    """Draw rows of widths up to a student's own: the whole, the narrowest, then random ones.

    The widths of a row lie between two shares that are drawn for it. If every width were drawn
    independently, all sums over the layers would be similar, and no row would be as small or as
    large as capacities are.

    Args:
        config: the whole student.
        count: number of rows.
        rng: source of randomness.
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
    """Return the step of each width: groups and following shuffles must divide it evenly."""
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
