"""Tests, on a device's own inputs, which thresholds stay within a tolerated risk.

The risk of a threshold is the share of the answers it keeps on the device that the cloud would have
changed. Thresholds are ordered from cautious to daring. Until one is certified, every input is sent
to the cloud. Every threshold is tested with a part of delta: the one that calibration inputs
suggest with half of it, the most cautious one with a fifth, and all others with equal parts of the
rest. A threshold that is certified leaves its part to the next more daring one (the graphical
procedure of Bretz, Maurer, Brannath & Posch 2009). The most daring certified one is in use.

Audits go on: they certify more daring thresholds, and they raise an alarm if the one in use exceeds
the risk. After an alarm, everything starts over. The share of audits falls from all inputs to the
share that the budget asks for, and rises again with suspicion.

ADR 38 states what is proved, and under which assumptions.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nestling_core.guarantee import bets
from nestling_core.guarantee.audit_blocks import AuditBlock, Verdict, begin_block
from nestling_core.guarantee.near_misses import NearMisses

Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]

DELTA = 0.1
"""The tolerated probability that, between two alarms, any threshold is certified whose risk exceeds
the tolerated one."""

# Parts of delta for the threshold that calibration inputs suggest, and for the most cautious one.
_FIRST, _CAUTIOUS = 0.5, 0.2
# After n inputs, the share of audits is this number / n, until it is down to the share asked for.
_EARLY_AUDITS = 300.0
# Even an audit share of 0 draws some, or the alarm could not go off.
_LEAST_SHARE = 1e-4
# Thresholds whose inputs count as near misses: a quarter of all, beyond the one in use.
_NEAR_PART = 4


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The settings of a certification.

    Attributes:
        risk: the tolerated risk, above 0 and below 1.
        thresholds: the number of thresholds.
        first: the index of the threshold that calibration inputs suggest, from 0.
        dependence: the number of consecutive inputs that count as one observation.
        audit_share: the smallest share of inputs that are audited, 0 to 1. A share below 0.0001
            counts as 0.0001.
    """

    risk: float
    thresholds: int
    first: int
    dependence: int
    audit_share: float


@dataclass(frozen=True, kw_only=True)
class Certification:
    """The state of a certification, with the evidence that audits have provided so far.

    Attributes:
        evidence: the wealth of the bets that certify each threshold, (T, stakes).
        proven: whether each threshold was ever proven since the last alarm, (T,).
        in_use: the number of the threshold in use, from 1; 0 to send every input.
        suspicion: the wealth of the alarm bets, (stakes,).
        since: the number of inputs since the start, since the last alarm, or since near misses last
            raised the share of audits, whichever came last.
        alarms: the number of alarms so far.
        block: the current block.
        near_misses: how often the cloud changes answers that are only just sent.
        raised: whether near misses have asked for more audits from the next block on.
        audits: the number of verdicts since the last alarm.
        kept: for each threshold, the number of audited answers that it keeps, (T,).
        changed: for each threshold, the number of these answers that the cloud would change, (T,).
    """

    evidence: Doubles
    proven: Bools
    in_use: int
    suspicion: Doubles
    since: int
    alarms: int
    block: AuditBlock
    near_misses: NearMisses
    raised: bool
    audits: int
    kept: Counts
    changed: Counts

    def draws(self, draw: float) -> bool:
        """Return whether the next input is audited.

        No input is audited while a full block waits for its last verdicts.

        Args:
            draw: a random number, at least 0 and below 1.
        """
        return self.block.draws(draw)

    def after_input(self, terms: Terms, *, audited: bool) -> "Certification":
        """Return the certification after one more input.

        Nothing changes while a full block waits for its last verdicts: no block counts the input.

        Args:
            terms: the terms of the certification.
            audited: whether the input was drawn, so that a verdict will come.
        """
        if self.block.is_full:
            return self
        block = self.block.after_input(audited=audited)
        return _settled(replace(self, since=self.since + 1, block=block), terms)

    def after_verdict(self, terms: Terms, verdict: Verdict, number: int) -> "Certification":
        """Return the certification after the verdict of an audit.

        A verdict for any block but the current one is ignored, for example for a block from before
        the last alarm.

        Args:
            terms: the terms of the certification.
            verdict: the verdict.
            number: the number of the audit's block.
        """
        if number != self.block.number or not self.block.waiting:
            return self
        counted = replace(
            self,
            block=self.block.after_verdict(verdict, terms.risk, self.in_use),
            audits=self.audits + 1,
            kept=self.kept + verdict.kept,
            changed=self.changed + (verdict.kept & verdict.changed),
        )
        return _settled(counted, terms)

    def after_sent(self, verdict: Verdict) -> "Certification":
        """Return the certification after the cloud's answer to an input that was not kept.

        Inputs that a slightly more daring threshold would have kept show early whether inputs have
        become harder. They only raise the share of audits.

        Args:
            verdict: what the cloud's answer shows about each threshold.
        """
        if not self.in_use:
            return self
        near = min(self.in_use - 1 + len(self.proven) // _NEAR_PART, len(self.proven) - 1)
        if not verdict.kept[near]:
            return self
        misses = self.near_misses.after_answer(changed=bool(verdict.changed[near]))
        if not misses.are_suspicious:
            return replace(self, near_misses=misses)
        return replace(self, near_misses=NearMisses(), raised=True)

    def missing(self, terms: Terms) -> list[float]:
        """Return how far each threshold is from being certified, (T,).

        The distance is the natural logarithm of the factor by which the threshold's wealth must
        still grow. It is infinite for a threshold that is certified already.
        """
        needed = _needed(terms, self.proven)
        mean = np.maximum(self.evidence.mean(axis=1), 1e-300)
        lacking: list[float] = np.where(self.proven, np.inf, np.log(needed / mean)).tolist()
        return lacking


def begin(terms: Terms, *, alarms: int = 0, number: int = 1) -> Certification:
    """Return a certification without any evidence.

    Args:
        terms: the terms of the certification.
        alarms: the number of alarms so far.
        number: the number of the first block.
    """
    count = terms.thresholds
    return Certification(
        evidence=bets.no_evidence(count),
        proven=np.zeros(count, np.bool_),
        in_use=0,
        suspicion=bets.no_suspicion(),
        since=0,
        alarms=alarms,
        block=begin_block(1.0, terms.dependence, count, number),
        near_misses=NearMisses(),
        raised=False,
        audits=0,
        kept=np.zeros(count, np.int64),
        changed=np.zeros(count, np.int64),
    )


def _settled(one: Certification, terms: Terms) -> Certification:
    """Return a certification, with the next block if its block is closed."""
    block = one.block
    if not block.is_closed:
        return one
    evidence = bets.with_payoffs(one.evidence, block.gains / block.audits, terms.risk)
    proven = _proven(terms, one.proven, evidence)
    suspicion = one.suspicion
    if one.in_use:
        suspicion = bets.with_excess(suspicion, block.excess / block.audits, terms.risk)
        if bets.alarms(suspicion):
            return begin(terms, alarms=one.alarms + 1, number=block.number + 1)
    in_use = max(one.in_use, _most_daring(proven))
    since = 0 if one.raised else one.since
    share = _share(terms, in_use, since, suspicion)
    return replace(
        one,
        evidence=evidence,
        proven=proven,
        suspicion=suspicion,
        in_use=in_use,
        since=since,
        raised=False,
        near_misses=one.near_misses if in_use == one.in_use else NearMisses(),
        block=begin_block(share, terms.dependence, terms.thresholds, block.number + 1),
    )


def _share(terms: Terms, in_use: int, since: int, suspicion: Doubles) -> float:
    """Return the share of inputs to audit in the next block."""
    if not in_use:
        return 1.0
    asked = max(terms.audit_share, _LEAST_SHARE)
    return min(1.0, max(asked, _EARLY_AUDITS / max(since, 1), asked * float(suspicion.mean())))


def _proven(terms: Terms, proven: Bools, evidence: Doubles) -> Bools:
    """Return which thresholds are certified, (T,).

    Args:
        terms: the terms of the certification.
        proven: the thresholds that were certified before.
        evidence: the wealth of the bets that certify each threshold, (T, stakes).
    """
    mean = evidence.mean(axis=1)
    while True:
        found: Bools = proven | (mean >= _needed(terms, proven))
        if (found == proven).all():
            return found
        proven = found


def _needed(terms: Terms, proven: Bools) -> Doubles:
    """Return the wealth that certifies each threshold, given those that are certified, (T,)."""
    others = terms.thresholds - len({0, terms.first})
    parts = np.full(terms.thresholds, (1 - _FIRST - _CAUTIOUS) / max(others, 1))
    parts[0] = _CAUTIOUS
    parts[terms.first] = _FIRST + (_CAUTIOUS if terms.first == 0 else 0)
    parts /= parts.sum()
    needed, part = np.zeros(terms.thresholds), 0.0
    for index, is_proven in enumerate(proven.tolist()):
        part += float(parts[index])
        needed[index] = 1 / (DELTA * part)
        if not is_proven:
            part = 0.0
    return needed


def _most_daring(proven: Bools) -> int:
    """Return the number of the most daring certified threshold, from 1, or 0 if there is none."""
    certified = np.flatnonzero(proven)
    return int(certified[-1]) + 1 if len(certified) else 0
