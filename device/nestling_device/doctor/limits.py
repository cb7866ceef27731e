"""Checks whether the installed bundle can meet the budget's limits and targets on this board."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Calibration, RoutingCurve
from nestling_core.routing.admission import offload_bytes, transfer_ms
from nestling_core.wire.choice import best_form
from nestling_core.wire.forms import encodable
from nestling_device.bundle.calibration import cascade_to, curve_of, read_calibration
from nestling_device.doctor.finding import CheckedDevice, Finding, failing
from nestling_device.energy.measured_costs import read_costs
from nestling_device.energy.meter import ProfileMeter
from nestling_device.energy.power_tables import load_board, load_link
from nestling_device.hardware.machine import machine_name
from nestling_device.inference import policy
from nestling_device.inference.expected_costs import capacity_costs, kept_input, sent_input
from nestling_device.inference.limit_notices import (
    exceeded_capacity,
    missed_target,
    uncertifiable_risk,
)
from nestling_device.inference.limits import CapacityCost, Excess, capacity_excess, offload_excess
from nestling_device.inference.resident_capacity import resident_capacity, start_capacity
from nestling_device.inference.target_controller import Target, TargetController, target_of
from nestling_device.runtime.budget import budget_of
from nestling_device.storage.snapshot import read_bundle


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """The budget and the expected cost of every option.

    Attributes:
        budget: the device's budget, with its limits and targets.
        costs: the costs of capacities 1 to K.
        start: the capacity that runs first.
        resident: the largest capacity that would be loaded.
        calibration: the calibration of the bundle.
        size_bytes: the number of bytes sent and received for one offloaded input.
        radio_mj: the radio energy of one offload, in mJ.
    """

    budget: Budget
    costs: list[CapacityCost]
    start: int
    resident: int
    calibration: Calibration
    size_bytes: int
    radio_mj: float

    @property
    def curve(self) -> RoutingCurve:
        """The routing curve of the capacities that would be loaded."""
        return curve_of(self.calibration, self.start, self.resident)

    @property
    def target(self) -> Target:
        """The budget's target, with the expected costs of keeping and of offloading an input."""
        sent = sent_input(self.size_bytes, self.radio_mj, self.budget)
        kept = kept_input(self.costs, self.calibration, self.start, self.resident)
        return target_of(self.budget, kept=kept, sent=sent)

    def excesses(self, ran: Sequence[int]) -> tuple[Excess, ...]:
        """Return the limits that an offload exceeds after the capacities in `ran` have run."""
        after = [self.costs[number - 1] for number in ran]
        return offload_excess(self.size_bytes, self.radio_mj, self.budget, after=after)


def offload(subject: CheckedDevice) -> Finding:
    """Return a finding that says whether an offload stays within the limits.

    The time and energy of the runs on the device before the offload count toward the limits.
    """
    plan = _plan(subject, "offload")
    if plan is None:
        return Finding(
            check="offload", level="ok", found="cannot be checked before a bundle is installed"
        )
    duration_ms = transfer_ms(plan.size_bytes, plan.budget)
    link = subject.config.board.link
    found = f"one input over {link}: {duration_ms:.0f} ms, {plan.radio_mj:.1f} mJ"
    for ran, effect in _stages(plan):
        if excesses := plan.excesses(ran):
            after = f"after capacity {' and '.join(map(str, ran))}, " if ran else ""
            return Finding(
                check="offload",
                level="warn",
                found=f"{found}; {after}{'; '.join(map(str, excesses))}, so {effect}",
                advice="raise [budget] latency_ms or energy_mj, or correct [board] link",
            )
    return Finding(check="offload", level="ok", found=found)


def _stages(plan: _Plan) -> Iterator[tuple[Sequence[int], str]]:
    """Yield the points at which an input may be sent to the cloud.

    Yields:
        A pair: the capacities that have run by then, in order, and a text. The text states the
        consequence if a limit rules out the cloud at this point.
    """
    if plan.budget.tolerated_risk > 0:  # everything runs before an input is sent
        yield tuple(sorted({plan.start, plan.resident})), "no risk can be certified"
        return
    share = TargetController().share_to_aim_at(plan.target)
    if policy.keeps_nothing(policy.thresholds_for(plan.curve, share)):
        yield (), "nothing is ever sent"
        return
    yield (plan.start,), "nothing is ever sent"
    if plan.start < plan.resident:
        yield (plan.start, plan.resident), f"nothing is sent once capacity {plan.resident} has run"


def targets(subject: CheckedDevice) -> Finding:
    """Return a finding that says whether the budget's limits and targets can be met.

    Only capacity 1 is compared with the limits, because a larger capacity that exceeds them is not
    loaded. If a risk is tolerated, the other targets are not checked.
    """
    check = "targets"
    plan = _plan(subject, check)
    if plan is None:
        return Finding(
            check=check, level="ok", found="cannot be checked before a bundle is installed"
        )
    missed = list(_missed(plan))
    if not missed:
        return Finding(check=check, level="ok", found="limits and targets can be met")
    return Finding(
        check=check,
        level="warn",
        found="; ".join(missed),
        advice="change [budget] to figures that can be met",
    )


def _missed(plan: _Plan) -> Iterator[str]:
    budget, curve = plan.budget, plan.curve
    yield from map(exceeded_capacity, capacity_excess(plan.costs[:1], budget))
    if budget.tolerated_risk > 0:
        if not curve.HasField("guarantee"):
            yield uncertifiable_risk(budget.tolerated_risk)
        return
    target = plan.target
    if target.mean < target.kept:
        yield missed_target(target)


def _plan(subject: CheckedDevice, check: str) -> _Plan | None:
    """Return the plan for the installed bundle, or None if there is no bundle yet.

    Raise FailedCheckError, with a finding for `check`, if the plan cannot be computed.
    """
    with failing(check):
        snapshot = read_bundle(subject.state_dir)
        if snapshot is None:
            return None
        manifest = subject.manifest(snapshot)
        calibration = read_calibration(manifest, subject.blobs)
        board, budget = subject.config.board, budget_of(subject.config)
        meter = ProfileMeter(load_board(board.profile), load_link(board.link))
        measured = read_costs(subject.state_dir, machine_name())
    costs = capacity_costs(manifest, snapshot.version, meter, measured)
    size = offload_bytes(best_form(manifest, encodable()))
    resident = resident_capacity(costs, snapshot.capacity, budget)
    cascade = cascade_to(calibration, resident)
    return _Plan(
        budget=budget,
        costs=costs,
        start=start_capacity(costs, resident, cascade.start, budget),
        resident=resident,
        calibration=calibration,
        size_bytes=size,
        radio_mj=meter.radio_mj(size, budget),
    )
