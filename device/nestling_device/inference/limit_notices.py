"""Logs the limits, targets and tolerated risks that cannot be met, and pauses between inputs.

Each notice states the figures, and is logged only once for each limit, target or risk.
"""

import logging

from nestling_device.inference.limits import Excess, Limit
from nestling_device.inference.target_controller import Kind, Target

_log = logging.getLogger(__name__)

_KEYS: dict[Limit, str] = {
    "energy": "energy_mj",
    "battery": "energy_mj",
    "latency": "latency_ms",
    "memory": "memory_kb",
}
_UNITS: dict[Kind, str] = {"energy": "mJ", "latency": "ms", "share": "offloads"}
# These come and go by themselves, so they are logged as information, not as warnings.
_PASSING: frozenset[Limit] = frozenset({"link", "battery"})


class LimitNotices:
    """Logs the limits, targets and tolerated risks that cannot be met, and pauses between inputs.

    Each notice is logged only once for each limit, target or risk.
    """

    def __init__(self) -> None:
        """Start with no notice logged."""
        self._logged: set[str] = set()

    def offload(self, excess: Excess) -> None:
        """Log that a limit rules out an offload."""
        text = f"the cloud is not asked: {excess}{_advice(excess)}"
        self._log_once(f"offload {excess.limit}", text, passing=excess.limit in _PASSING)

    def smallest_capacity(self, excess: Excess) -> None:
        """Log that even capacity 1 exceeds a limit."""
        self._log_once(
            f"capacity {excess.limit}",
            f"{exceeded_capacity(excess)}{_advice(excess)}",
            passing=excess.limit in _PASSING,
        )

    def risk(self, tolerated_risk: float) -> None:
        """Log that the bundle has no plan by which a tolerated risk could be certified.

        Args:
            tolerated_risk: the risk that the budget tolerates.
        """
        self._log_once(f"risk {tolerated_risk}", uncertifiable_risk(tolerated_risk))

    def target(self, target: Target) -> None:
        """Log that a target is below the cost of an input that stays on the device."""
        self._log_once(f"target {target.kind} {target.mean}", missed_target(target))

    def useful_share(self, share: float) -> None:
        """Log that fewer inputs are sent than the target asks for, so that accuracy does not fall.

        Args:
            share: the offload share beyond which accuracy is expected to fall, 0 to 1.
        """
        self._log_once(
            f"useful share {share}",
            f"when the bundle was built, the cloud was less accurate than this device: at most "
            f"{share:.0%} of the inputs are sent, instead of the target",
        )

    def pauses(self, gap_s: float) -> None:
        """Log that several inputs in a row came after pauses, which end the belief about a stream.

        Args:
            gap_s: the longest pause after which the belief is kept, in seconds.
        """
        self._log_once(
            "pauses",
            f"inputs come more than {gap_s:g} s apart, so each is judged on its own; "
            "raise [device] stream_gap_s if they belong together",
        )

    def _log_once(self, key: str, text: str, *, passing: bool = False) -> None:
        if key in self._logged:
            return
        self._logged.add(key)
        _log.log(logging.INFO if passing else logging.WARNING, "%s (logged once)", text)


def exceeded_capacity(excess: Excess) -> str:
    """Return a message about a limit that even capacity 1 exceeds."""
    return (
        f"the {excess.limit} limit admits no capacity: for capacity 1, {excess}; capacity 1 "
        "answers anyway, because no input is left unanswered"
    )


def uncertifiable_risk(tolerated_risk: float) -> str:
    """Return a message about a tolerated risk for which a bundle has no plan.

    Args:
        tolerated_risk: the risk that the budget tolerates.
    """
    return (
        f"a tolerated risk of {tolerated_risk:g} cannot be certified, because the bundle was built "
        "with too few calibration inputs: every input is sent to the cloud"
    )


def missed_target(target: Target) -> str:
    """Return a message about a target below the cost of an input that stays on the device."""
    unit = _UNITS[target.kind]
    return (
        f"the target of {target.mean:.4g} {unit} for the mean input cannot be met: an input that "
        f"stays on the device takes {target.kept:.4g} {unit}; nothing is sent"
    )


def _advice(excess: Excess) -> str:
    key = _KEYS.get(excess.limit)
    return "" if key is None else f"; raise [budget] {key} if that is not intended"
