"""Saves a certification as a message, and resumes it."""

import math

import numpy as np

from nestling.v1.stream_pb2 import AuditBlock as BlockMessage
from nestling.v1.stream_pb2 import GuaranteeState
from nestling.v1.stream_pb2 import NearMisses as NearMissesMessage
from nestling_core.guarantee.audit_blocks import AuditBlock
from nestling_core.guarantee.certification import Certification, Terms, begin
from nestling_core.guarantee.near_misses import NearMisses

_LARGEST = 1e13
_LARGEST_COUNT = 2**53
# More than the longest block that an audit share or a dependence length leads to.
_LONGEST_BLOCK = 1_000_000


def save(certification: Certification, risk: float) -> GuaranteeState:
    """Return a message from which `resume` restores a certification.

    The caller sets the message's cascade and the time of the certificate.

    Args:
        certification: the certification.
        risk: the tolerated risk of the certification.
    """
    block, misses = certification.block, certification.near_misses
    return GuaranteeState(
        risk=risk,
        evidence=certification.evidence.ravel().tolist(),
        suspicion=certification.suspicion.tolist(),
        proven=certification.proven.tolist(),
        in_use=certification.in_use,
        since=certification.since,
        alarms=certification.alarms,
        raised=certification.raised,
        audits=certification.audits,
        audited=certification.kept.tolist(),
        changed=certification.changed.tolist(),
        block=BlockMessage(
            number=block.number,
            length=block.length,
            audits=block.audits,
            position=block.position,
            left=block.left,
            waiting=block.waiting,
            gains=block.gains.tolist(),
            excess=block.excess,
        ),
        near_misses=NearMissesMessage(
            count=misses.count,
            changed=misses.changed,
            expected=misses.expected,
            wealth=misses.wealth,
        ),
    )


def resume(state: GuaranteeState, terms: Terms) -> Certification:
    """Return the certification that a message describes.

    The certification starts over if the message is about another risk or another number of
    thresholds, or has an impossible value.

    Args:
        state: the message that `save` wrote.
        terms: the terms of the certification.
    """
    # Verdicts of the state's audits must not count for the new blocks.
    fresh = begin(terms, number=state.block.number + 1)
    if not _is_sound(state, terms, fresh):
        return fresh
    evidence, suspicion = np.array(state.evidence), np.array(state.suspicion)
    block, gains = state.block, np.array(state.block.gains, np.float64)
    kept, changed = np.array(state.audited, np.int64), np.array(state.changed, np.int64)
    misses = state.near_misses
    return Certification(
        evidence=evidence.reshape(fresh.evidence.shape),
        proven=np.array(state.proven, np.bool_),
        in_use=state.in_use,
        suspicion=suspicion,
        since=state.since,
        alarms=state.alarms,
        raised=state.raised,
        audits=state.audits,
        kept=kept,
        changed=changed,
        block=AuditBlock(
            number=block.number,
            length=block.length,
            audits=block.audits,
            left=block.left,
            gains=gains,
            position=block.position,
            waiting=block.waiting,
            excess=block.excess,
        ),
        near_misses=NearMisses(
            count=misses.count,
            changed=misses.changed,
            expected=misses.expected if misses.HasField("expected") else None,
            wealth=misses.wealth,
        ),
    )


def _is_sound(state: GuaranteeState, terms: Terms, fresh: Certification) -> bool:
    """Return whether a message is about the same terms, and all its values are possible."""
    block, misses, counts = state.block, state.near_misses, [*state.audited, *state.changed]
    lengths = {len(one) for one in (state.proven, block.gains, state.audited, state.changed)}
    return (
        state.risk == terms.risk
        and len(state.evidence) == fresh.evidence.size
        and len(state.suspicion) == fresh.suspicion.size
        and lengths == {terms.thresholds}
        and all(map(_is_wealth, [*state.evidence, *state.suspicion, misses.wealth]))
        and all(map(math.isfinite, [*block.gains, block.excess]))
        and max(counts, default=0) <= _LARGEST_COUNT
        and (not misses.HasField("expected") or 0 < misses.expected < 1)
        and state.in_use <= terms.thresholds
        and (state.in_use == 0 or state.proven[state.in_use - 1])
        and 0 < block.audits <= block.length <= _LONGEST_BLOCK
        and block.position <= block.length
        and block.left <= block.audits
        and block.waiting <= block.audits - block.left
    )


def _is_wealth(value: float) -> bool:
    return 0 <= value <= _LARGEST
