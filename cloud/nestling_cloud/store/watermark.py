"""Computes how far an outbox is settled without a hole."""

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nestling_core.telemetry.receipt_chain import EMPTY_CHAIN, extend


class Gap(NamedTuple):
    """Sequences that will never arrive.

    Attributes:
        first: first sequence, included.
        last: last sequence, included.
        chain: the outbox's chain up to `last`.
    """

    first: int
    last: int
    chain: int = EMPTY_CHAIN


class Watermark(NamedTuple):
    """The point up to which an outbox is settled.

    Attributes:
        contiguous: sequences 1 to this are settled.
        chain: the outbox's chain up to there.
    """

    contiguous: int
    chain: int


def advance(
    watermark: Watermark, marks: Iterable[tuple[int, int]], gaps: Sequence[Gap]
) -> Watermark:
    """Advance a watermark over what is settled beyond it.

    Args:
        watermark: where it is now.
        marks: sequence and fingerprint of each stored receipt, in rising order of sequence; read
            only up to the first hole.
        gaps: sequences that will never arrive, in rising order of first sequence.

    Returns:
        The largest N such that 1 to N are settled, with its chain.
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
