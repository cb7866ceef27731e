"""Measures how many consecutive inputs of a stream count as one observation.

A device certifies a threshold by bets on blocks of inputs. The bets are fair if blocks do not
depend on each other. Neighboring inputs depend on each other: in an easy recording, bet after bet
pays. Longer blocks depend less on each other, but a certificate then takes more inputs.

The length is therefore measured. Calibration recordings are drawn at random and joined into long
streams, on which the risk of every threshold is known. The bets are placed against the statement
that a threshold's risk is at least this known risk. The statement is true, so it may be refuted in
at most a share `DELTA / 2` of the streams, the error probability with which a device tests a
threshold. The dependence length is the smallest length of a block with which every threshold keeps
to this limit, and does so with all larger lengths too. A bundle has only one such number, the
largest over its curves, because the curve of an accurate capacity with a filter has too few changes
for a measurement of its own.

The result is deterministic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.routing.data import Bools, Doubles
from nestling_core.guarantee import bets
from nestling_core.guarantee.certification import DELTA

Indices = NDArray[np.intp]

LENGTHS = (1, 2, 3, 5, 7, 10, 14, 20, 30, 50, 70, 100)
"""The lengths that are tried."""
FEWEST_RECORDINGS = 10
"""The number of recordings below which the dependence cannot be measured."""
_STREAMS, _INPUTS = 400, 10_000
# Thresholds that are tested, at most, and the risks that they may have: with others, a test of so
# many inputs says nothing.
_TESTED = 8
_RISKS = (0.005, 0.5)


@dataclass(frozen=True, kw_only=True)
class KeptAnswers:
    """What a device keeps with each of several thresholds, and what the cloud would change.

    Attributes:
        kept: whether the device keeps its answer to each input, (T, N).
        changed: whether the cloud would change the device's answer, (T, N).
        lengths: the number of inputs in each recording, in order. It is empty if the inputs are
            independent of one another.
    """

    kept: Bools
    changed: Bools
    lengths: Sequence[int]


def dependence_length(curves: Sequence[Sequence[KeptAnswers]]) -> int:
    """Return the number of consecutive inputs that count as one observation.

    The number is 1 for independent inputs, and the largest of `LENGTHS` if no smaller one suffices,
    if there are fewer than ten recordings, or if the cloud changes too few answers to tell.

    Args:
        curves: for each routing curve, what devices keep of each part of the calibration inputs.
            The recordings are the same for each curve.
    """
    if not curves:
        return LENGTHS[0]
    recordings = np.array([length for part in curves[0] for length in part.lengths], np.intp)
    if not len(recordings):
        return LENGTHS[0]
    bets_of_curves = [found for found in map(_fair_bets, curves) if len(found.risks)]
    if len(recordings) < FEWEST_RECORDINGS or not bets_of_curves:
        return LENGTHS[-1]
    places = _streams_of(recordings)
    least = 0
    for fair in bets_of_curves:
        least = _smallest(fair, places, least)
    return LENGTHS[least]


class _FairBets(NamedTuple):
    """Bets that are neither won nor lost on average.

    Attributes:
        payoffs: the payoff of each input for each tested threshold, (N, T).
        risks: the risk of each tested threshold, (T,).
    """

    payoffs: Doubles
    risks: Doubles


def _fair_bets(parts: Sequence[KeptAnswers]) -> _FairBets:
    """Return the bets against each suitable threshold at its own risk."""
    kept = np.concatenate([part.kept.T for part in parts])
    lost = kept & np.concatenate([part.changed.T for part in parts])
    risks = lost.sum(axis=0) / np.maximum(kept.sum(axis=0), 1)
    tested = _tested(risks)
    return _FairBets(risks[tested] * kept[:, tested] - lost[:, tested], risks[tested])


def _smallest(fair: _FairBets, places: Indices, least: int) -> int:
    """Return the index of the smallest of `LENGTHS` that suffices, at least `least`."""
    found = len(LENGTHS) - 1
    for index in range(len(LENGTHS) - 1, least - 1, -1):
        if _false_proofs(fair, places, LENGTHS[index]) > DELTA / 2:
            break
        found = index
    return found


def _tested(risks: Doubles) -> Indices:
    """Return the indices of the thresholds to test, spread evenly over those that are suitable."""
    low, high = _RISKS
    suitable = np.flatnonzero((risks >= low) & (risks <= high))
    spread = np.linspace(0, len(suitable) - 1, min(_TESTED, len(suitable)))
    return suitable[spread.round().astype(np.intp)]


def _streams_of(recordings: Indices) -> Indices:
    """Return the indices of the inputs of each stream, (S, inputs).

    Args:
        recordings: the number of inputs in each recording.
    """
    rng = np.random.default_rng(0)
    starts = np.cumsum(recordings) - recordings
    found = np.zeros((_STREAMS, _INPUTS), np.intp)
    for stream in found:
        drawn = rng.integers(len(recordings), size=_INPUTS // int(recordings.min()) + 1)
        ends = np.cumsum(recordings[drawn])
        drawn = drawn[: np.searchsorted(ends, _INPUTS) + 1]
        lengths = recordings[drawn]
        shifts = np.repeat(starts[drawn] - (np.cumsum(lengths) - lengths), lengths)
        stream[:] = (shifts + np.arange(len(shifts)))[:_INPUTS]
    return found


def _false_proofs(fair: _FairBets, places: Indices, length: int) -> float:
    """Return the share of streams in which the bets on a threshold prove something false.

    Args:
        fair: the bets.
        places: the indices of the inputs of each stream, (S, inputs).
        length: the number of inputs in a block.

    Returns:
        The share with the threshold for which it is largest.
    """
    evidence = np.repeat(bets.no_evidence(len(fair.risks))[None], len(places), axis=0)
    proven = np.zeros(evidence.shape[:-1], np.bool_)
    for start in range(0, places.shape[1] - length + 1, length):
        block = fair.payoffs[places[:, start : start + length]].mean(axis=1)
        evidence = bets.with_payoffs(evidence, block, fair.risks)
        proven |= bets.proves(evidence, DELTA)
    return float(proven.mean(axis=0).max())
