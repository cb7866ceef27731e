"""What every device holds of what it was told, and what it has to be told now. No I/O.

A command travels with QoS 0, as Sparkplug has it, so it may get lost. A device reports what was
written to it, in its birth certificate and as it changes; what differs is written again, ever less
often, and with the question for a new birth, because the report may be what got lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nestling import sparkplug_metrics
from nestling.sparkplug_metrics import MetricValue

_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 60.0


class DesiredMetrics(NamedTuple):
    """What a device should know."""

    target_share: float | None  # None: as the device itself is set
    desired_bundle: str  # "" before the first release

    def values(self) -> dict[str, MetricValue | None]:
        """The metrics that say so."""
        said: dict[str, MetricValue | None] = {sparkplug_metrics.OFFLOAD_TARGET: self.target_share}
        if self.desired_bundle:
            said[sparkplug_metrics.DESIRED_BUNDLE] = self.desired_bundle
        return said


_WRITTEN = (sparkplug_metrics.OFFLOAD_TARGET, sparkplug_metrics.DESIRED_BUNDLE)


@dataclass
class _DeviceState:
    holds: dict[str, MetricValue | None]  # of what we write, what its birth names
    session: MetricValue | None  # bdSeq
    sent: dict[str, MetricValue | None] = field(default_factory=dict)
    again_at_s: float = 0.0
    wait_s: float = _FIRST_WAIT_S


class PendingChanges:
    """Follows what devices report, and decides what each is to be told."""

    def __init__(self) -> None:
        self._devices: dict[str, _DeviceState] = {}

    def hear(self, device: str, values: Mapping[str, MetricValue | None], *, born: bool) -> None:
        """Take note of what a device reports.

        Args:
            device: its id.
            values: its metrics; those that it does not name at its birth are never written.
            born: whether this is its birth certificate. It may be another process than before.
        """
        said = {name: values[name] for name in _WRITTEN if name in values}
        state = self._devices.get(device)
        if state is not None and (
            not born or state.session == values.get(sparkplug_metrics.BD_SEQ)
        ):
            state.holds |= {name: said[name] for name in said if name in state.holds}
        elif born:
            self._devices[device] = _DeviceState(
                holds=said, session=values.get(sparkplug_metrics.BD_SEQ)
            )

    def devices(self) -> list[str]:
        """Devices that were ever born."""
        return list(self._devices)

    def due(
        self, device: str, word: DesiredMetrics, *, now_s: float
    ) -> Mapping[str, MetricValue | None]:
        """Metrics of a command that tells a device what it does not hold yet; empty if nothing.

        Args:
            device: one of `devices`.
            word: what it should know.
            now_s: a steady clock.
        """
        state = self._devices[device]
        wanted = word.values()
        due = {
            name: wanted[name]
            for name, held in state.holds.items()
            if name in wanted and held != wanted[name]
        }
        if not due or due != state.sent:
            return due
        return {**due, sparkplug_metrics.REBIRTH: True} if now_s >= state.again_at_s else {}

    def sent(self, device: str, due: Mapping[str, MetricValue | None], *, now_s: float) -> None:
        """Take note that a device is being sent what is due.

        To be said before it is sent: a birth meanwhile means that it has to be told again.
        """
        state = self._devices[device]
        written = {name: value for name, value in due.items() if name != sparkplug_metrics.REBIRTH}
        again = written == state.sent
        state.wait_s = min(2 * state.wait_s, _LONGEST_WAIT_S) if again else _FIRST_WAIT_S
        state.sent = written
        state.again_at_s = now_s + state.wait_s

    def not_sent(self, device: str) -> None:
        """Take note that it could not go out."""
        self._devices[device].sent = {}
