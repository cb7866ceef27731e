"""Keeps an offload share, whatever the inputs are like: pure arithmetic, one number of state.

A bundle's price sends the wished share of the calibration inputs to the cloud, and another share of
inputs that are harder or easier. The keeper counts what it still owes the cloud: the wished number
of offloads minus those that were. From that it goes for a larger or a smaller share than wished, a
little while it owes little, and steeply beyond a small part of the window. The debt stays within
narrow bounds so, and the share over any window is off by the change of the debt over the window's
length, at most: the argument of adaptive conformal inference (Gibbs & Candès 2021,
arXiv 2106.00170), with the bundle's own curve between shares and prices, so that a step means the
same for every task.
"""

from dataclasses import dataclass

from nestling.v1.budget_pb2 import Budget

# A debt that is still small, in parts of the window: 3 offloads of 500 inputs.
_SMALL_DEBT = 0.006
# How much share one window's worth of debt adds while it is small.
_SLOPE = 10.0


@dataclass(frozen=True)
class ShareKeeper:
    """What is owed to the cloud.

    Attributes:
        owed: offloads; below 0 there were too many.
        window: that they are owed over.
    """

    owed: float = 0.0
    window: int = 0

    def to_go_for(self, budget: Budget) -> float:
        """Share whose price comes next, 0 to 1; the wish itself where no window is given."""
        if not budget.share_window:
            return budget.offload_share
        debt = self._owed_over(budget.share_window) / budget.share_window
        more = _SLOPE * debt * (1 + (debt / _SMALL_DEBT) ** 2)
        return min(1.0, max(0.0, budget.offload_share + more))

    def after_input(self, budget: Budget, *, asked_cloud: bool) -> "ShareKeeper":
        """One more input for which the cloud was open; a debt never exceeds the window.

        A tolerated risk or a share without a window keeps no account.
        """
        window = budget.share_window
        if not window or budget.tolerated_risk > 0:
            return ShareKeeper()
        owed = self._owed_over(window) + budget.offload_share - asked_cloud
        return ShareKeeper(min(float(window), max(-float(window), owed)), window)

    def _owed_over(self, window: int) -> float:
        """The debt; another window begins anew."""
        return self.owed if self.window == window else 0.0
