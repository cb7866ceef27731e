"""Certifies a tolerated risk on the inputs of this device, separately for each cascade.

A cascade here is a pair of capacities: the one that runs first, and the largest one that may run.
The rules are in `nestling_core.guarantee`; this module keeps their state.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Calibration, GuaranteePlan, RoutingCurve
from nestling.v1.stream_pb2 import GuaranteeState, PendingInput, StreamState
from nestling_core.guarantee import expectations, guarantee_state, shadow_beliefs
from nestling_core.guarantee.audit_blocks import Verdict, missing_verdict
from nestling_core.guarantee.certification import Certification, Terms
from nestling_device.bundle.calibration import curve_of

_log = logging.getLogger(__name__)

_Block = tuple[int, int, int]
# A tolerated risk of 1 tolerates everything; the bets need a risk below that.
_LARGEST_RISK = 0.99


class CascadeKey(NamedTuple):
    """The capacities that a certification is about.

    Attributes:
        start: the capacity that runs first.
        resident: the largest capacity that may run.
    """

    start: int
    resident: int


@dataclass(frozen=True, kw_only=True)
class GuaranteeStatus:
    """A tolerated risk, and whether it is guaranteed now.

    Attributes:
        risk: the tolerated risk, at most 0.99.
        since_ms: the Unix time since which the risk has been guaranteed, in milliseconds, or None
            if it is not guaranteed.
        inputs_to_go: about how many more inputs it takes until the risk is guaranteed, or None if
            it is guaranteed already, or if no end can be foreseen.
        alarms: how often the risk was found to be exceeded.
    """

    risk: float
    since_ms: int | None
    inputs_to_go: int | None
    alarms: int


@dataclass(kw_only=True)
class _Test:
    """The certification of one cascade."""

    terms: Terms
    plan: GuaranteePlan
    certification: Certification
    certified_at_ms: int = 0


class FieldGuarantee:
    """The certifications of a tolerated risk, one for each cascade that has answered under it.

    Call `begin` for each input. Only if it returns True may `rows`, `in_use`, `block`, `draws` and
    `after_input` be used for this input.
    """

    def __init__(
        self, calibration: Calibration, state: StreamState, pending: Iterable[PendingInput] = ()
    ) -> None:
        """Continue with the certifications in a saved state.

        Args:
            calibration: the calibration of the bundle, which has the plans.
            state: the state of the stream.
            pending: this bundle's inputs that the cloud is still to be asked about.
        """
        self._calibration = calibration
        self._pending = _by_block(pending)
        self._saved = {CascadeKey(one.start, one.capacity): one for one in state.guarantees}
        self._tests: dict[CascadeKey, _Test] = {}
        self._test: _Test | None = None

    def begin(
        self, curve: RoutingCurve, key: CascadeKey, budget: Budget, now_ms: int, *, useful: bool
    ) -> bool:
        """Begin the next input, and return whether it counts for the certification of a risk.

        Args:
            curve: the routing curve of the loaded capacities, which has the plan.
            key: the loaded capacities.
            budget: the limits and targets for the input.
            now_ms: the current Unix time, in milliseconds.
            useful: whether it pays to send any input at all; otherwise nothing is certified.

        Returns:
            Whether a risk is tolerated and can be certified.
        """
        self._test = None
        if useful and budget.tolerated_risk > 0 and curve.HasField("guarantee"):
            risk = min(budget.tolerated_risk, _LARGEST_RISK)
            self._test = self._test_of(curve.guarantee, key, risk, budget.audit_share, now_ms)
        return self._test is not None

    def _test_of(
        self, plan: GuaranteePlan, key: CascadeKey, risk: float, audit_share: float, now_ms: int
    ) -> _Test:
        terms = Terms(
            risk=risk,
            thresholds=len(plan.thresholds),
            first=expectations.first_threshold(plan, risk),
            dependence=plan.dependence,
            audit_share=audit_share,
        )
        known = self._tests.get(key)
        if known is not None and known.terms.risk == risk:
            known.terms = terms
            return known
        saved = self._saved.pop(key, GuaranteeState())
        one = guarantee_state.resume(saved, terms)
        test = _Test(terms=terms, plan=plan, certification=one)
        test.certified_at_ms = (saved.certified_at_ms or now_ms) if one.in_use else 0
        self._tests[key] = test
        self._count_lost(key, test, self._pending, now_ms)
        return test

    def count_lost(self, pending: Iterable[PendingInput], now_ms: int) -> None:
        """Count each audit as a change if its input was lost, for example in a damaged row.

        Args:
            pending: this bundle's inputs that the cloud is still to be asked about.
            now_ms: the current Unix time, in milliseconds.
        """
        found = _by_block(pending)
        for key, test in self._tests.items():
            self._count_lost(key, test, found, now_ms)

    def _count_lost(
        self, key: CascadeKey, test: _Test, pending: Mapping[_Block, int], now_ms: int
    ) -> None:
        block = test.certification.block
        for _ in range(block.waiting - pending.get((*key, block.number), 0)):
            missing = missing_verdict(test.terms.thresholds)
            one = test.certification.after_verdict(test.terms, missing, block.number)
            self._replace(test, one, now_ms)

    @property
    def rows(self) -> NDArray[np.float64]:
        """The threshold of each row of beliefs, (R,)."""
        return shadow_beliefs.row_thresholds(self._now.plan.thresholds)

    @property
    def in_use(self) -> int:
        """The row that decides about inputs; row 0 sends every input."""
        return self._now.certification.in_use

    @property
    def block(self) -> int:
        """The number of the current block of audits."""
        return self._now.certification.block.number

    @property
    def waits(self) -> bool:
        """Whether the current block can only go on when the cloud has answered its audits."""
        return self._test is not None and self._test.certification.block.is_full

    @property
    def status(self) -> GuaranteeStatus | None:
        """The risk, and whether it is guaranteed, or None unless `begin` last returned True."""
        test = self._test
        if test is None:
            return None
        one = test.certification
        return GuaranteeStatus(
            risk=test.terms.risk,
            since_ms=test.certified_at_ms or None,
            inputs_to_go=None if one.in_use else _inputs_to_go(test),
            alarms=one.alarms,
        )

    def draws(self, draw: float) -> bool:
        """Return whether the current input is audited.

        Args:
            draw: a random number, at least 0 and below 1.
        """
        return self._now.certification.draws(draw)

    def after_input(self, now_ms: int, *, audited: bool, verdict: Verdict | None = None) -> None:
        """Count an input about which the cloud could be asked.

        Args:
            now_ms: the current Unix time, in milliseconds.
            audited: whether the input is audited.
            verdict: what the cloud's answer shows, or None if the cloud has not answered yet.
        """
        test = self._now
        one, number = test.certification, test.certification.block.number
        if verdict is not None:
            one = one.after_sent(verdict)
        one = one.after_input(test.terms, audited=audited)
        if audited and verdict is not None:
            one = one.after_verdict(test.terms, verdict, number)
        self._replace(test, one, now_ms)

    def after_verdict(
        self,
        key: CascadeKey,
        number: int,
        verdict: Verdict | None,
        now_ms: int,
        *,
        audit_share: float,
    ) -> None:
        """Add the verdict of an audit of an earlier input.

        Args:
            key: the capacities that had been loaded.
            number: the number of the audit's block.
            verdict: the verdict, or None if there will be none.
            now_ms: the current Unix time, in milliseconds.
            audit_share: the smallest share of answers to audit, from the budget in force.
        """
        test = self._tests.get(key) or self._saved_test(key, audit_share, now_ms)
        if test is None:
            return
        found = verdict or missing_verdict(test.terms.thresholds)
        if len(found.kept) != test.terms.thresholds:  # a damaged message
            found = missing_verdict(test.terms.thresholds)
        one = test.certification.after_verdict(test.terms, found, number)
        self._replace(test, one, now_ms)

    def _saved_test(self, key: CascadeKey, audit_share: float, now_ms: int) -> _Test | None:
        """Return a certification that goes on although no input has come since the start."""
        saved = self._saved.get(key)
        known = 0 < key.start <= key.resident <= len(self._calibration.curves)
        if saved is None or not known or not 0 < saved.risk <= _LARGEST_RISK:
            return None
        curve = curve_of(self._calibration, key.start, key.resident)
        if not curve.HasField("guarantee"):
            return None
        return self._test_of(curve.guarantee, key, saved.risk, audit_share, now_ms)

    def save(self, state: StreamState) -> None:
        """Write the certifications into a state, which is changed in place."""
        saved = dict(self._saved)
        for key, test in self._tests.items():
            message = guarantee_state.save(test.certification, test.terms.risk)
            message.start, message.capacity = key
            message.certified_at_ms = test.certified_at_ms
            saved[key] = message
        state.guarantees.extend(saved.values())

    @property
    def _now(self) -> _Test:
        assert self._test is not None, "no risk is tolerated"
        return self._test

    def _replace(self, test: _Test, one: Certification, now_ms: int) -> None:
        before, test.certification = test.certification, one
        if one.alarms > before.alarms:
            _log.warning(
                "more than %g of the kept answers would have been changed by the cloud: every "
                "input is sent until this risk is certified again",
                test.terms.risk,
            )
        if one.in_use and not before.in_use:
            test.certified_at_ms = now_ms
            _log.info("a risk of at most %g is certified from now on", test.terms.risk)
        if not one.in_use:
            test.certified_at_ms = 0


def _by_block(pending: Iterable[PendingInput]) -> Mapping[_Block, int]:
    """Return the number of inputs by start, capacity and number of their block."""
    return Counter((one.cascade_start, one.cascade_capacity, one.block) for one in pending)


def _inputs_to_go(test: _Test) -> int | None:
    one = test.certification
    return expectations.inputs_to_go(
        test.plan,
        test.terms.risk,
        one.missing(test.terms),
        audits=one.audits,
        kept=one.kept.tolist(),
        changed=one.changed.tolist(),
    )
