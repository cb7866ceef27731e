"""Follows the devices of many streams while they certify a tolerated risk."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.offload.audited_outputs import Doubles, Indices, Outputs, Routing
from benchmarks.offload.audited_rows import Bools, rows_of
from nestling_core.guarantee.audit_blocks import Verdict
from nestling_core.guarantee.certification import Certification, Terms, begin
from nestling_core.guarantee.expectations import first_threshold, inputs_to_go

AUDIT_SHARE = 0.01
# Streams and inputs of each from which the risk of a threshold is taken.
_TRUE_STREAMS, _TRUE_INPUTS = 48, 3000


def draw_streams(
    lengths: NDArray[np.intp], streams: int, inputs: int, rng: np.random.Generator
) -> Indices:
    """Return the places of inputs of streams that are joined from recordings at random, (S, T).

    Args:
        lengths: the number of inputs in each recording; 1 for independent inputs.
        streams: the number of streams, S.
        inputs: the number of inputs in each stream, T.
        rng: the generator of the order.
    """
    starts = np.cumsum(lengths) - lengths
    found = np.zeros((streams, inputs), np.intp)
    for stream in found:
        drawn = rng.integers(len(lengths), size=inputs // int(lengths.min()) + 1)
        drawn = drawn[: int(np.searchsorted(np.cumsum(lengths[drawn]), inputs)) + 1]
        chosen = lengths[drawn]
        shifts = np.repeat(starts[drawn] - (np.cumsum(chosen) - chosen), chosen)
        stream[:] = (shifts + np.arange(len(shifts)))[:inputs]
    return found


def true_risks(
    outputs: Outputs, routing: Routing, lengths: NDArray[np.intp], rng: np.random.Generator
) -> Doubles:
    """Return the risk of each threshold if a device follows it for a long time, (T,).

    Args:
        outputs: the pool of inputs.
        routing: how a device routes inputs.
        lengths: the number of inputs in each recording that streams are drawn from.
        rng: the generator of the streams.
    """
    places = draw_streams(lengths, _TRUE_STREAMS, _TRUE_INPUTS, rng)
    rows, every = rows_of(outputs, routing, _TRUE_STREAMS), np.ones(_TRUE_STREAMS, np.bool_)
    kept = changed = np.zeros(len(routing.plan.thresholds) + 1)
    for column in places.T:
        judged = rows.judge(column)
        rows.hear(every)
        kept = kept + judged.kept.sum(axis=0)
        changed = changed + (judged.kept & judged.changed).sum(axis=0)
    risks: Doubles = changed[1:] / np.maximum(kept[1:], 1)
    return risks


@dataclass(frozen=True, kw_only=True)
class StreamResult:
    """What happened in a stream.

    Attributes:
        violated: whether a threshold was ever in use whose risk exceeds the tolerated one, before
            the shift.
        asked: the share of inputs that the cloud was asked about, audits included.
        certified: the number of inputs until the first certificate, or None.
        estimated: the number of inputs that the device foresaw at the start, or None.
        audits: the number of kept inputs that were audited, in all.
        alarms: the number of alarms before the shift.
        certified_at_shift: whether a threshold was in use when the inputs changed.
        exceeded: whether the risk of this threshold exceeds the tolerated one from then on.
        found: the number of inputs from the shift to the next alarm, or None.
    """

    violated: bool
    asked: float
    certified: int | None
    estimated: int | None
    audits: int
    alarms: int
    certified_at_shift: bool
    exceeded: bool
    found: int | None


def terms_of(routing: Routing, risk: float) -> Terms:
    """Return the terms of a device's certification."""
    return Terms(
        risk=risk,
        thresholds=len(routing.plan.thresholds),
        first=first_threshold(routing.plan, risk),
        dependence=routing.plan.dependence,
        audit_share=AUDIT_SHARE,
    )


class _Device:
    """The certification of one device, with a record of what happened."""

    def __init__(self, followed: "Followed", shift: int) -> None:
        routing, risks, later = followed.routing, followed.risks, followed.later
        terms = terms_of(routing, followed.risk)
        self._terms, self._shift = terms, shift
        self._false, self._false_later = (
            np.concatenate([[False], one > terms.risk]).tolist()
            for one in (risks, risks if later is None else later)
        )
        self._one: Certification = begin(terms)
        self._estimated = inputs_to_go(
            routing.plan,
            terms.risk,
            self._one.missing(terms),
            audits=0,
            kept=(),
            changed=(),
        )
        self._count = self._asked = self._audits = self._before = 0
        self._violated = self._at_shift = self._exceeded = False
        self._certified: int | None = None
        self._found: int | None = None

    @property
    def in_use(self) -> int:
        return self._one.in_use

    def look(self, kept: Bools, changed: Bools, draw: float) -> None:
        """Take the next input, whose answer comes at once.

        Args:
            kept: what each row keeps, (R,).
            changed: what the cloud would change in each row, (R,).
            draw: the random number for the audit.
        """
        one = self._one
        if self._count == self._shift:
            self._at_shift, self._before = bool(one.in_use), one.alarms
            self._exceeded = self._false_later[one.in_use]
        sent, audited, number = not kept[one.in_use], one.draws(draw), one.block.number
        after = one.after_input(self._terms, audited=audited)
        if audited or sent:
            verdict = Verdict(kept=kept[1:], changed=changed[1:])
            if audited:
                after = after.after_verdict(self._terms, verdict, number)
            if sent:
                after = after.after_sent(verdict)
        self._one = after
        self._count += 1
        self._asked += audited or sent
        self._audits += audited and not sent
        if after.in_use:
            if self._certified is None:
                self._certified = self._count
            if self._count <= self._shift:
                self._violated = self._violated or self._false[after.in_use]
        if self._found is None and self._at_shift and after.alarms > self._before:
            self._found = self._count - self._shift

    def result(self) -> StreamResult:
        """Return what happened."""
        return StreamResult(
            violated=self._violated,
            asked=self._asked / self._count,
            certified=self._certified,
            estimated=self._estimated,
            audits=self._audits,
            alarms=self._before if self._shift < self._count else self._one.alarms,
            certified_at_shift=self._at_shift,
            exceeded=self._exceeded,
            found=self._found,
        )


class Followed(NamedTuple):
    """Devices to follow.

    Attributes:
        outputs: the pool of inputs.
        routing: how the devices route inputs.
        risk: the tolerated risk.
        risks: the risk of each threshold on such streams, (T,).
        later: the risk of each threshold after a shift, (T,).
    """

    outputs: Outputs
    routing: Routing
    risk: float
    risks: Doubles
    later: Doubles | None = None


def follow(
    followed: Followed, places: Indices, rng: np.random.Generator, *, shift: int | None = None
) -> list[StreamResult]:
    """Return what happens in streams whose devices certify a tolerated risk.

    Args:
        followed: the devices.
        places: the places of the inputs of each stream, (S, inputs).
        rng: the generator of the audits.
        shift: the input at which the streams change, or None.
    """
    outputs, routing, streams = followed.outputs, followed.routing, len(places)
    end = places.shape[1] if shift is None else shift
    devices = [_Device(followed, end) for _ in range(streams)]
    rows, each = rows_of(outputs, routing, streams), np.arange(streams)
    for column in places.T:
        kept, changed = rows.judge(column)
        in_use = np.array([device.in_use for device in devices])
        for device, keeps, changes, draw in zip(
            devices, kept, changed, rng.random(streams).tolist(), strict=True
        ):
            device.look(keeps, changes, draw)
        rows.hear(~kept[each, in_use])
    return [device.result() for device in devices]
