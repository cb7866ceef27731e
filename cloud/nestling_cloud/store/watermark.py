"""Computes the watermark of an outbox, up to which every sequence is settled.

A sequence is settled if its receipt is stored or will never be stored.
"""

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nestling_core.telemetry.receipt_chain import EMPTY_CHAIN, extend


class Gap(NamedTuple):
    """A range of sequences whose receipts will never be stored.

    Attributes:
        first: the first sequence of the range.
        last: the last sequence of the range.
        chain: the outbox's chain (a hash over its receipts) up to `last`. In a gap for one receipt
            that arrived but is not stored, the fingerprint of this receipt instead.
    """

    first: int
    last: int
    chain: int = EMPTY_CHAIN


class Watermark(NamedTuple):
    """The sequence up to which an outbox is settled.

    Attributes:
        contiguous: the largest N for which every sequence from 1 to N is settled.
        chain: the outbox's chain (a hash over its receipts) up to `contiguous`.
    """

    contiguous: int
    chain: int


def advance(
    watermark: Watermark, marks: Iterable[tuple[int, int]], gaps: Sequence[Gap]
) -> Watermark:
    """Return the watermark after further receipts have arrived and further gaps are known.

    Args:
        watermark: the watermark so far.
        marks: a pair (sequence, fingerprint) for each receipt that arrived, in rising order of
            sequence; read only up to the first sequence that is missing.
        gaps: the gaps, in rising order of first sequence.

    Returns:
        The largest N for which every sequence from 1 to N is settled, with the chain up to N.
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
