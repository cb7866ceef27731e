"""Keeps the offload share, the mean energy or the mean latency at its target while inputs change.

A bundle's thresholds for a share send that share of the calibration inputs to the cloud. If inputs
are harder or easier, the thresholds send a different share. The controller corrects this error.
Its only state is the debt, which is the target times the number of inputs, minus the total cost of
these inputs. While the debt is positive, the controller aims at a larger share than the target
needs; while the debt is negative, it aims at a smaller share. The correction is proportional to a
small debt, and grows with the cube of a larger one.

The debt is limited, in both directions, to the amount that shifts the share by 1, that is, from one
end of its range to the other. If a target cannot be met for a while, the controller therefore
compensates for only a part of the difference later. While the debt is within its limits, the mean
cost over a window differs from the target by the change of the debt divided by the length of the
window, so it stays close to the target. This is the argument of adaptive conformal inference
(Gibbs & Candès 2021, arXiv 2106.00170). The controller corrects a share, which the bundle's curve
translates to thresholds. A correction therefore has the same meaning for every task.

Offload share, energy and latency are controlled in the same way. They differ only in the cost of an
input that stays on the device and in the extra cost of an offload, which depends on the link.
Nothing here does I/O or reads a clock.
"""

from dataclasses import dataclass
from typing import Literal

from nestling.v1.budget_pb2 import Budget

Kind = Literal["share", "energy", "latency"]

# The debts below are measured in offloads, as a fraction of the window.
# Debt at which the cubic part of the correction equals the linear part: 3 offloads in 500 inputs.
_SMALL_DEBT = 0.006
# Share added per unit of debt while the debt is small.
_SLOPE = 10.0
# Debt that moves the share by 1: 10 * 0.015 * (1 + (0.015 / 0.006)^2) = 1.09.
_FULL_DEBT = 0.015


@dataclass(frozen=True, kw_only=True)
class InputCost:
    """The cost of one input in each quantity that can have a target.

    Attributes:
        share: 1 if the input was offloaded, otherwise 0.
        energy: the energy in mJ.
        latency: the time in ms.
    """

    share: float
    energy: float
    latency: float

    def of(self, kind: Kind) -> float:
        """Return the cost in the given quantity."""
        return {"share": self.share, "energy": self.energy, "latency": self.latency}[kind]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A target for the mean cost of an input, and the expected costs of an input.

    Attributes:
        kind: the quantity: offload share, energy or latency.
        mean: the target for the mean cost of an input, as a share, in mJ or in ms.
        window: the number of inputs over which the controller keeps the mean at the target, or 0
            to use the bundle's thresholds without correction.
        kept: the expected cost of an input that stays on the device, in the unit of `mean`.
        sent: the expected extra cost of an offload, in the unit of `mean`.
    """

    kind: Kind
    mean: float
    window: int
    kept: float
    sent: float

    @property
    def share(self) -> float:
        """The offload share at which the expected mean meets the target.

        It may lie outside the range from 0 to 1. For an offload without extra cost, it is 1 if an
        input that stays on the device meets the target, and 0 otherwise.
        """
        room = self.mean - self.kept
        if self.sent > 0:
            return room / self.sent
        return 1.0 if room >= 0 else 0.0


def with_share(budget: Budget, share: float | None) -> Budget:
    """Return a budget whose target is the offload share that was set in the console.

    The share replaces the budget's targets for share, energy and latency, but not a tolerated risk.

    Args:
        budget: the device's own budget, which is not changed.
        share: the target share from the console, or None to return the budget as it is.
    """
    if share is None:
        return budget
    changed = Budget()
    changed.CopyFrom(budget)
    changed.offload_share = share
    changed.energy_per_input_mj = changed.latency_per_input_ms = 0
    return changed


def share_in_force(budget: Budget) -> float | None:
    """Return the budget's target share, or None if another target replaces it.

    A tolerated risk, an energy target or a latency target replaces the share.
    """
    others = (budget.tolerated_risk, budget.energy_per_input_mj, budget.latency_per_input_ms)
    return None if any(one > 0 for one in others) else budget.offload_share


def target_of(budget: Budget, *, kept: InputCost, sent: InputCost) -> Target:
    """Return the target that a budget sets for the mean cost of an input.

    An energy target has priority over a latency target, and a latency target over an offload share.

    Args:
        budget: the limits and targets for the next input.
        kept: the expected cost of an input that stays on the device.
        sent: the expected extra cost of an offload over the budget's link.
    """
    kind: Kind = "share"
    mean = budget.offload_share
    if budget.energy_per_input_mj > 0:
        kind, mean = "energy", budget.energy_per_input_mj
    elif budget.latency_per_input_ms > 0:
        kind, mean = "latency", budget.latency_per_input_ms
    return Target(
        kind=kind, mean=mean, window=budget.target_window, kept=kept.of(kind), sent=sent.of(kind)
    )


@dataclass(frozen=True)
class TargetController:
    """Corrects the offload share so that the mean cost of an input meets its target.

    The state of the controller is the debt, which is the target times the number of inputs, minus
    the total cost of these inputs.

    Attributes:
        owed: the debt, in the unit of the target. It is negative if the inputs cost more on average
            than the target.
        window: the window, in inputs, of the target that the debt belongs to.
        kind: the quantity of the target that the debt belongs to.
    """

    owed: float = 0.0
    window: int = 0
    kind: Kind = "share"

    def share_to_aim_at(self, target: Target) -> float:
        """Return the offload share, from 0 to 1, whose thresholds the next input uses.

        Without a window, or if an offload has no extra cost, this is the target's share, clipped to
        the range from 0 to 1.
        """
        correction = 0.0
        if target.window and target.sent > 0:
            debt = self._owed_for(target) / (target.window * target.sent)
            correction = _SLOPE * debt * (1 + (debt / _SMALL_DEBT) ** 2)
        # Expected costs may be far off, and with them target.share. Clip it first, so that the
        # debt moves the share from 0 or 1 and not from far outside.
        return min(1.0, max(0.0, min(1.0, max(0.0, target.share)) + correction))

    def after_input(self, target: Target, cost: InputCost) -> "TargetController":
        """Return the controller with its debt updated by one more input.

        The debt is limited, in both directions, to the amount that shifts the offload share by 1,
        that is, from one end of its range to the other. The limit is never less than the extra cost
        of one offload, because for short windows it would otherwise be less than a single input can
        add.

        An earlier debt for another kind of target or another window is discarded. Without a window,
        the debt is reset to 0.

        Args:
            target: the target in force for this input.
            cost: the cost of the input.
        """
        return self.after_extra(target, cost.of(target.kind) - target.mean)

    def after_extra(self, target: Target, cost: float) -> "TargetController":
        """Return the controller with its debt reduced by a cost that belongs to no further input.

        Args:
            target: the target in force.
            cost: the cost, in the unit of the target.
        """
        if not target.window:
            return TargetController()
        most = max(1.0, _FULL_DEBT * target.window) * target.sent
        owed = self._owed_for(target) - cost
        return TargetController(min(most, max(-most, owed)), target.window, target.kind)

    def _owed_for(self, target: Target) -> float:
        """Return the debt, or 0 if it belongs to another window or another kind of target."""
        return self.owed if (self.window, self.kind) == (target.window, target.kind) else 0.0
