"""How far an outbox is settled without a hole."""

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nestling_core.telemetry.receipt_chain import EMPTY_CHAIN, extend


class Gap(NamedTuple):
    """Sequences that will never come, both ends included, and the outbox's chain up to the last."""

    first: int
    last: int
    chain: int = EMPTY_CHAIN


class Watermark(NamedTuple):
    """1 to `contiguous` are settled; `chain` is that of what was stored up to there."""

    contiguous: int
    chain: int


def advance(
    watermark: Watermark, marks: Iterable[tuple[int, int]], gaps: Sequence[Gap]
) -> Watermark:
    """Move a watermark over what is settled beyond it.

    Args:
        watermark: where it is.
        marks: sequence and fingerprint of what is stored, by rising sequence; read no further than
            the first hole.
        gaps: sequences that will never come, by rising first sequence.

    Returns:
        Largest N such that 1 to N are settled, with its chain.
    """
    contiguous, chain = watermark
    stored = ((sequence, sequence, False, mark) for sequence, mark in marks)
    lost = ((gap.first, gap.last, True, gap.chain) for gap in gaps)
    for first, last, is_gap, mark in heapq.merge(stored, lost):
        if first > contiguous + 1:
            break
        if last > contiguous:
            contiguous, chain = last, mark if is_gap else extend(chain, mark)
    return Watermark(contiguous, chain)
