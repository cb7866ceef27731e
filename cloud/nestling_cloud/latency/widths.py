"""Random widths of a student."""

import math
from collections.abc import Sequence

import numpy as np

from nestling_core.student.blocks import Block, Conv, Gru, Lstm, Shuffle
from nestling_core.student.config import StudentConfig

Widths = tuple[int, ...]


def random_widths(config: StudentConfig, count: int, rng: np.random.Generator) -> list[Widths]:
    """Draw rows that nest in a student: the whole, the narrowest, then random ones.

    A row's widths lie between two shares that are drawn for it. With widths drawn alone, sums over
    the layers would all be much alike, and no row nearly as small or as large as capacities are.
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
    """By what each width can change: groups and shuffles after it split it into equal parts."""
    return tuple(
        _groups(block) * math.prod(_shuffles_after(config.blocks[index + 1 :]))
        for index, block in enumerate(config.blocks)
        if isinstance(block, Conv | Gru | Lstm)
    )


def _groups(block: Block) -> int:
    return block.groups if isinstance(block, Conv) else 1


def _shuffles_after(blocks: Sequence[Block]) -> list[int]:
    found = []
    for block in blocks:
        if isinstance(block, Conv | Gru | Lstm):
            break
        if isinstance(block, Shuffle):
            found.append(block.groups)
    return found
