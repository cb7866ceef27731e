"""Finds the thresholds that keep the mean cost of an input at its target."""

import math

from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import Reason
from nestling_core.routing.curve import useful_share
from nestling_device.energy.meter import Meter
from nestling_device.inference import policy
from nestling_device.inference.capacity_loader import CapacityLoader
from nestling_device.inference.cost_account import CostAccount
from nestling_device.inference.expected_costs import kept_input, sent_input
from nestling_device.inference.limit_notices import LimitNotices
from nestling_device.inference.limits import NOT_ASKED
from nestling_device.inference.target_controller import (
    InputCost,
    Target,
    TargetController,
    target_of,
)


class OffloadTarget:
    """The target of a budget, and the controller that tracks it.

    Attributes:
        controller: the controller after the newest input.
    """

    def __init__(
        self,
        loader: CapacityLoader,
        meter: Meter,
        notices: LimitNotices,
        controller: TargetController,
    ) -> None:
        """Start with a given controller.

        Args:
            loader: the loader of the capacities, with their costs and routing curve.
            meter: the meter that estimates the energy of an offload.
            notices: the log for targets that cannot be met.
            controller: the controller to continue with.
        """
        self.controller = controller
        self._loader = loader
        self._meter = meter
        self._notices = notices

    def of(self, budget: Budget, offload_size_bytes: int) -> Target:
        """Return the budget's target with the expected costs of keeping and of offloading an input.

        A target below the cost of keeping an input cannot be met. Such a target is logged, unless
        the budget tolerates a risk, which replaces the target.

        Args:
            budget: the limits and targets for the next input.
            offload_size_bytes: the expected number of bytes on the link for one offload.
        """
        bundle, size = self._loader.bundle, offload_size_bytes
        nest = bundle.nest
        target = target_of(
            budget,
            kept=kept_input(self._loader.costs, bundle.calibration, nest.start, nest.resident),
            sent=sent_input(size, self._meter.radio_mj(size, budget), budget),
        )
        if target.mean < target.kept and not budget.tolerated_risk > 0:
            self._notices.target(target)
        return target

    def is_useful(self, target: Target, budget: Budget) -> bool:
        """Return whether it pays to send any input at all.

        Sending does not pay if the cloud is so much less accurate than the device that accuracy is
        expected to fall with any share. This is logged if the budget asks for offloads. Nothing is
        then sent for a tolerated risk either, because agreeing with such a cloud has no value.

        Args:
            target: the target of the budget.
            budget: the limits and targets for the next input.
        """
        useful = useful_share(self._loader.curve())
        if useful == 0 and (target.share > 0 or budget.tolerated_risk > 0):
            self._notices.useful_share(useful)
        return useful > 0

    def thresholds(self, target: Target, budget: Budget) -> policy.Thresholds:
        """Return the thresholds for the next input.

        If the cloud is less accurate than the device, the offload share is limited to the largest
        one that pays, and this is logged. A risk that the bundle has no plan for cannot be
        certified: every input is sent, and this is logged, too.

        Args:
            target: the target of the budget.
            budget: the limits and targets for the next input.
        """
        curve = self._loader.curve()
        useful = useful_share(curve)
        if useful == 0:
            return policy.KEEP_ALL
        if budget.tolerated_risk > 0:
            self._notices.risk(budget.tolerated_risk)
            return policy.KEEP_NOTHING
        if target.share > useful:
            self._notices.useful_share(useful)
        share = self.controller.share_to_aim_at(target)
        return policy.thresholds_for(curve, min(share, useful))

    def after_input(
        self,
        target: Target,
        account: CostAccount,
        reason: Reason.ValueType,
        *,
        offloaded: bool,
        deferred: bool,
    ) -> bool:
        """Update the controller with the cost of an answer.

        Inputs for which a limit or a pause after a failed offload ruled out the cloud do not count.
        Otherwise, the controller would make up for them with additional offloads later. If hard
        inputs wait for the cloud, all inputs count, and the waiting ones as if they had been sent,
        unless the cost of an offload is unknown because there is no link.
        No input counts while the budget tolerates a risk, because the risk replaces the target that
        the controller tracks.

        Args:
            target: the target in force for the input.
            account: the costs of the answer.
            reason: the reason for the route.
            offloaded: whether the input was sent to the cloud.
            deferred: whether the input waits for the cloud.

        Returns:
            Whether nothing more is to be charged if the input is deferred and the cloud answers it
            later.
        """
        if account.budget.tolerated_risk > 0:
            return True
        ruled_out = reason in NOT_ASKED
        is_known = 0 < target.sent < math.inf  # not without a link, unless the target is a share
        if ruled_out and not (account.budget.defer and is_known):
            return False
        later = target.sent if ruled_out and deferred else 0.0
        cost = InputCost(
            share=deferred if ruled_out else offloaded,
            energy=account.energy_mj + later,
            latency=account.latency_ms + later,
        )
        self.controller = self.controller.after_input(target, cost)
        return ruled_out or target.kind == "share"

    def after_follow_up(self, budget: Budget, offload_size_bytes: int) -> None:
        """Charge the target with a follow-up, which costs as much as an offload.

        Nothing is charged while the budget tolerates a risk, if the target is a latency, or if the
        cost of an offload is unknown because there is no link.

        Args:
            budget: the limits and targets in force.
            offload_size_bytes: the expected number of bytes on the link for one offload.
        """
        if budget.tolerated_risk > 0:
            return
        target = self.of(budget, offload_size_bytes)
        if math.isfinite(target.sent) and target.kind != "latency":
            self.controller = self.controller.after_extra(target, target.sent)
