"""Keeps the target of the mean input, whatever inputs are like: pure, one number of state.

A bundle's threshold sends the target share of the calibration inputs to the cloud, and another
share of inputs that are harder or easier. The keeper counts what is owed: what was targeted so many
inputs minus what they took. From that it goes for a larger or a smaller share than the target
needs, a little while it owes little, and steeply beyond a small part of the window. The debt stays
within narrow bounds so: what moves the share from one end to the other is the most that is
remembered, so that a target that could not be had for a while is not made up for afterwards. The
mean over any window is off by the change of the debt over the window's length, at most: the
argument of adaptive conformal inference (Gibbs & Candès 2021, arXiv 2106.00170), with the bundle's
own curve between shares and thresholds, so that a step means the same for every task.

A share of offloads, energy and latency are kept alike: they differ in what an input takes that
stays on the device, and in what an offload adds, which changes with the link.
"""

from dataclasses import dataclass
from typing import Literal

from nestling.v1.budget_pb2 import Budget

Kind = Literal["share", "energy", "latency"]

# A debt that is still small, in parts of the window: 3 offloads of 500 inputs.
_SMALL_DEBT = 0.006
# How much share one window's worth of debt adds while it is small.
_SLOPE = 10.0
# A debt that moves the share by 1, in parts of the window: 10 * 0.015 * (1 + (0.015 / 0.006)^2).
_FULL_DEBT = 0.015


@dataclass(frozen=True, kw_only=True)
class InputCost:
    """What one input takes of everything that can be targeted.

    Attributes:
        share: 1 for an offload, 0 for none.
        energy: mJ.
        latency: ms.
    """

    share: float
    energy: float
    latency: float

    def of(self, kind: Kind) -> float:
        """That which a target is about."""
        return {"share": self.share, "energy": self.energy, "latency": self.latency}[kind]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the mean input is wished to take.

    Attributes:
        kind: the target for.
        mean: of it for an input; mJ, ms, or an offload share.
        window: inputs over which the mean is kept, 0 where it is a target and no more.
        kept: what an input takes that stays on the device.
        sent: what an offload adds to it.
    """

    kind: Kind
    mean: float
    window: int
    kept: float
    sent: float

    @property
    def share(self) -> float:
        """Share of offloads that takes the target; it may lie outside of 0 to 1."""
        room = self.mean - self.kept
        if self.sent > 0:
            return room / self.sent
        return 1.0 if room >= 0 else 0.0


def with_share(budget: Budget, share: float | None) -> Budget:
    """A budget with the console's share, which goes before its own share, energy and latency.

    Args:
        budget: the device's own.
        share: wished by the console, None where it wishes none.
    """
    if share is None:
        return budget
    target = Budget()
    target.CopyFrom(budget)
    target.offload_share = share
    target.energy_per_input_mj = target.latency_per_input_ms = 0
    return target


def share_in_force(budget: Budget) -> float | None:
    """The share by which a device goes, None where a risk, an energy or a time decides."""
    others = (budget.tolerated_risk, budget.energy_per_input_mj, budget.latency_per_input_ms)
    return None if any(one > 0 for one in others) else budget.offload_share


def target_of(budget: Budget, *, kept: InputCost, sent: InputCost) -> Target:
    """Read off a budget the target: energy before latency before a share.

    Args:
        budget: limits and targets of now.
        kept: what an input is expected to take that stays on the device.
        sent: what an offload is expected to add, over the link of now.
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
    """What is owed.

    Attributes:
        owed: of the target for, below 0 where too much was taken.
        window: that it is owed over.
        kind: the target for.
    """

    owed: float = 0.0
    window: int = 0
    kind: Kind = "share"

    def share_to_aim_at(self, target: Target) -> float:
        """Share whose threshold comes next, 0 to 1; that of the target itself without a window."""
        more = 0.0
        if target.window and target.sent > 0:
            debt = self._owed_for(target) / (target.window * target.sent)
            more = _SLOPE * debt * (1 + (debt / _SMALL_DEBT) ** 2)
        # What is expected may be off by any amount: a debt moves the share from its end, not from
        # beyond it.
        return min(1.0, max(0.0, min(1.0, max(0.0, target.share)) + more))

    def after_input(self, target: Target, taken: InputCost) -> "TargetController":
        """One more input; a debt that moves the share by all is the most that is remembered.

        In a window of few inputs that is less than one offload, which is always remembered.
        """
        if not target.window:
            return TargetController()
        most = max(1.0, _FULL_DEBT * target.window) * target.sent
        owed = self._owed_for(target) + target.mean - taken.of(target.kind)
        return TargetController(min(most, max(-most, owed)), target.window, target.kind)

    def _owed_for(self, target: Target) -> float:
        """The debt; another window, or another kind of target, begins again."""
        return self.owed if (self.window, self.kind) == (target.window, target.kind) else 0.0
