"""Decides which settings each device still has to receive.

Sparkplug commands are sent with QoS 0, so a command may be lost. A device reports the settings that
it holds in its birth certificate and whenever they change. While a reported setting differs from
the desired one, the command to change the setting is repeated at growing intervals. A repeated
command also asks for a new birth certificate, because the device's report may have been lost
instead of the command. This module does no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nestling import sparkplug_metrics
from nestling.sparkplug_metrics import MetricValue

_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 60.0


class DesiredMetrics(NamedTuple):
    """The settings that a device should have."""

    target_share: float | None  # None: the device's own configuration applies
    desired_bundle: str  # "" before the first release

    def values(self) -> dict[str, MetricValue | None]:
        """Return the settings as a mapping from the names of Sparkplug metrics to their values.

        Before the first release, the desired bundle is left out.
        """
        metrics: dict[str, MetricValue | None] = {
            sparkplug_metrics.OFFLOAD_TARGET: self.target_share
        }
        if self.desired_bundle:
            metrics[sparkplug_metrics.DESIRED_BUNDLE] = self.desired_bundle
        return metrics


_WRITABLE = (sparkplug_metrics.OFFLOAD_TARGET, sparkplug_metrics.DESIRED_BUNDLE)


@dataclass
class _DeviceState:
    reported: dict[str, MetricValue | None]  # writable metrics that its birth certificate names
    session: MetricValue | None  # bdSeq
    sent: dict[str, MetricValue | None] = field(default_factory=dict)
    repeat_at_s: float = 0.0
    wait_s: float = _FIRST_WAIT_S


class PendingChanges:
    """Decides which settings to send to each device, from the settings that devices report."""

    def __init__(self) -> None:
        self._devices: dict[str, _DeviceState] = {}

    def record_report(
        self, device: str, values: Mapping[str, MetricValue | None], *, born: bool
    ) -> None:
        """Record the metrics that a device reported.

        Reports are ignored until the device has sent a birth certificate.

        Args:
            device: the device's id.
            values: a mapping from the names of the reported metrics to their values. A metric that
                the birth certificate does not name is never written to the device.
            born: whether the report is a birth certificate. If its bdSeq (Sparkplug's number of the
                session) differs from the last one, the device has begun a new session, and the
                record of sent commands is discarded.
        """
        reported = {name: values[name] for name in _WRITABLE if name in values}
        state = self._devices.get(device)
        if state is not None and (
            not born or state.session == values.get(sparkplug_metrics.BD_SEQ)
        ):
            state.reported |= {name: reported[name] for name in reported if name in state.reported}
        elif born:
            self._devices[device] = _DeviceState(
                reported=reported, session=values.get(sparkplug_metrics.BD_SEQ)
            )

    def devices(self) -> list[str]:
        """Return the ids of all devices that have sent a birth certificate."""
        return list(self._devices)

    def due(
        self, device: str, desired: DesiredMetrics, *, now_s: float
    ) -> Mapping[str, MetricValue | None]:
        """Return the command to send now.

        Args:
            device: the id of one of the `devices`.
            desired: the settings that the device should have.
            now_s: the current time of a monotonic clock.

        Returns:
            A mapping from the names of the metrics to write to their values, which is empty if
            there is nothing to send.
        """
        state = self._devices[device]
        wanted = desired.values()
        due = {
            name: wanted[name]
            for name, reported in state.reported.items()
            if name in wanted and reported != wanted[name]
        }
        if not due or due != state.sent:
            return due
        return {**due, sparkplug_metrics.REBIRTH: True} if now_s >= state.repeat_at_s else {}

    def sent(self, device: str, due: Mapping[str, MetricValue | None], *, now_s: float) -> None:
        """Record that a command is about to be sent.

        Call this method before sending. If a birth certificate that begins a new session arrives
        meanwhile, the command is sent again.

        Args:
            device: the id of one of the `devices`.
            due: the metrics of the command, as the method `due` returned them.
            now_s: the current time of a monotonic clock.
        """
        state = self._devices[device]
        written = {name: value for name, value in due.items() if name != sparkplug_metrics.REBIRTH}
        repeated = written == state.sent
        state.wait_s = min(2 * state.wait_s, _LONGEST_WAIT_S) if repeated else _FIRST_WAIT_S
        state.sent = written
        state.repeat_at_s = now_s + state.wait_s

    def not_sent(self, device: str) -> None:
        """Record that the last command could not be sent, so that it is due again at once."""
        self._devices[device].sent = {}
