"""How far an outbox is settled without a hole."""

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Gap(NamedTuple):
    """Sequences that will never come, both ends included."""

    first: int
    last: int


def advance(watermark: int, sequences: Iterable[int], gaps: Sequence[Gap]) -> int:
    """Move a watermark over what is settled beyond it.

    Args:
        watermark: 1 to this are settled.
        sequences: stored sequences, rising; read no further than the first hole.
        gaps: sequences that will never come, by rising first sequence.

    Returns:
        Largest N such that 1 to N are settled.
    """
    stored = (Gap(sequence, sequence) for sequence in sequences)
    for first, last in heapq.merge(stored, gaps):
        if first > watermark + 1:
            break
        watermark = max(watermark, last)
    return watermark
