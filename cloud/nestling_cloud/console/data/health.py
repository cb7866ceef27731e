"""What is wrong with a fleet or a device: pure rules over what is known of it.

Nothing here says that all is well. An empty list says that none of these rules found a fault.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from nestling_cloud.console.data.rounds import RoundView
from nestling_cloud.console.data.units import age, number
from nestling_cloud.metrics.fleet_health import LONG_OUTBOX, FleetCondition, Losses
from nestling_cloud.metrics.views import DeviceRow
from nestling_cloud.telemetry.ingest_status import IngestStatus

# How far the newest message may be dated after now before this machine's clock is in doubt.
_CLOCK_MARGIN_MS = 60_000
# Fewer inputs that asked the cloud say little about whether it answers.
_FEW_ASKED = 10
_IDLE_MS = 600_000


class Severity(Enum):
    """How bad it is, the worst first."""

    FAULT = "fault"  # the fleet, or this device, does not do its work
    WARNING = "warning"  # a part of it does not, or will not for long
    NOTE = "note"  # no fault, but the figures are to be read with it in mind


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong, in words that say what to do where that can be told."""

    severity: Severity
    text: str


@dataclass(frozen=True, kw_only=True)
class Offloads:
    """Inputs of the last few minutes for which the cloud was asked.

    Attributes:
        answered: by the cloud.
        fallbacks: by the device, because the cloud's answer did not come in time.
    """

    answered: int = 0
    fallbacks: int = 0


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What is known at a time.

    Attributes:
        now_ms: Unix time of this machine.
        uplink: how the ingest is doing.
        fleet: how the devices are doing.
        desired: version that devices should run, "" where there is none.
        release_fault: why the released bundle cannot be read, "" where it can.
        offloads: of the last five minutes.
        last_round: of federated learning, None where there never was one.
    """

    now_ms: int
    uplink: IngestStatus
    fleet: FleetCondition
    desired: str
    release_fault: str = ""
    offloads: Offloads = Offloads()
    last_round: RoundView | None = None


def fleet_findings(snapshot: Snapshot) -> tuple[Finding, ...]:
    """Tell what is wrong with a cloud and its fleet, the worst first."""
    return _worst_first(
        *_of_cloud(snapshot), *_of_devices(snapshot), *_of_rounds(snapshot.last_round)
    )


def device_findings(snapshot: Snapshot, row: DeviceRow, losses: Losses) -> tuple[Finding, ...]:
    """Tell what is wrong with a device, or with the cloud that it reports to, the worst first.

    Args:
        snapshot: of the whole fleet.
        row: what the device last reported.
        losses: of this device's receipts.
    """
    return _worst_first(
        *_of_cloud(snapshot), *_of_device(snapshot, row), *_of_losses(losses, "This device")
    )


def store_finding(err: BaseException) -> Finding:
    """Tell that what was stored cannot be read, so that nothing else can be told."""
    return _fault(f"The store cannot be read, so what is shown may be old: {_line(err)}")


def _of_cloud(snapshot: Snapshot) -> Iterator[Finding]:
    uplink = snapshot.uplink
    if not uplink.connected:
        yield _fault(
            f"The cloud has no connection to the broker at {uplink.broker}, so no device is heard. "
            "It keeps trying; see that the broker runs."
        )
    if uplink.store_fault:
        yield _fault(
            f"What devices report cannot be stored: {uplink.store_fault}. Devices keep their "
            "receipts and repeat them; see that the database can be written."
        )
    if snapshot.release_fault:
        yield _fault(f"There is no bundle that devices could run: {snapshot.release_fault}")
    heard_ms = snapshot.fleet.last_heard_ms
    if heard_ms is not None and heard_ms > snapshot.now_ms + _CLOCK_MARGIN_MS:
        yield _fault(
            "This machine's clock is wrong, or was: a device was heard later than now. "
            "Set the clock; until then figures stand at the wrong times."
        )


def _of_devices(snapshot: Snapshot) -> Iterator[Finding]:
    fleet = snapshot.fleet
    away = fleet.known - fleet.connected
    if fleet.known and not fleet.connected and snapshot.uplink.connected:
        yield _fault(f"No device is connected{_last_heard(snapshot)}.")
    elif away and snapshot.uplink.connected:
        most = _warning if 2 * away >= fleet.known else _note
        yield most(f"{_of(away, fleet.known)} not connected.")
    yield from _of_bundles(snapshot)
    if fleet.long_outboxes:
        yield _warning(
            f"{_of(fleet.long_outboxes, fleet.connected, 'connected')} holding more than "
            f"{number(LONG_OUTBOX)} receipts that are not stored yet."
        )
    if fleet.clocks_unset:
        yield _warning(
            f"{_of(fleet.clocks_unset, fleet.connected, 'connected')} dating answers before 2020: "
            "set the clock."
        )
    asked = snapshot.offloads.answered + snapshot.offloads.fallbacks
    if asked >= _FEW_ASKED and 2 * snapshot.offloads.fallbacks > asked:
        yield _warning(
            f"The cloud answered {number(snapshot.offloads.answered)} of {number(asked)} inputs "
            "that devices sent in the last 5 min; the device's own answer was used for the others."
        )
    answered_ms = fleet.last_answered_ms
    if fleet.connected and answered_ms is not None and answered_ms < snapshot.now_ms - _IDLE_MS:
        answered = age(answered_ms, snapshot.now_ms)
        yield _note(f"No device is answering inputs; the last answer was given {answered}.")
    yield from _of_losses(fleet.losses, "The fleet")
    if fleet.damaged:
        rows = "row of the store is" if fleet.damaged == 1 else "rows of the store are"
        yield _warning(
            f"{number(fleet.damaged)} {rows} damaged and left out; the log says which. See to the "
            "disk."
        )


def _of_bundles(snapshot: Snapshot) -> Iterator[Finding]:
    others = sum(
        count for version, count in snapshot.fleet.bundles.items() if version != snapshot.desired
    )
    if snapshot.desired and others:
        yield _warning(
            f"{_of(others, snapshot.fleet.connected, 'connected')} not running the desired bundle "
            f"{snapshot.desired}."
        )


def _of_device(snapshot: Snapshot, row: DeviceRow) -> Iterator[Finding]:
    if not row.online and snapshot.uplink.connected:
        heard = age(row.last_seen_ms, snapshot.now_ms)
        yield _fault(
            f"This device is not connected; it was last heard {heard}. "
            "What it says of itself is from then."
        )
    if snapshot.desired and row.bundle_version != snapshot.desired:
        running = row.bundle_version or "no bundle that it told of"
        yield _warning(f"It runs {running} and should run {snapshot.desired}.")
    if row.outbox_depth > LONG_OUTBOX:
        yield _warning(f"It holds {number(row.outbox_depth)} receipts that are not stored yet.")


def _of_rounds(last: RoundView | None) -> Iterator[Finding]:
    if last is None:
        return
    name = f"The last federated round ({last.run}, round {last.number})"
    if not last.averaged:
        yield _warning(f"{name} changed nothing: {last.used} of {last.invited} clients counted.")
    elif last.verdict and not last.bundle_version:
        yield _warning(f"{name} released nothing: {last.verdict}")
    elif last.dropped:
        left_out = f"{number(len(last.dropped))} of {number(last.invited)} clients"
        yield _note(f"{name} left out {left_out}.")


def _of_losses(losses: Losses, whose: str) -> Iterator[Finding]:
    told = (
        (losses.dropped, "dropped by full outboxes"),
        (losses.rejected, "rejected because they made no sense"),
        (losses.forgotten, "lost by the store, which was wiped or put back"),
        (losses.unreadable, "damaged on the device's disk"),
    )
    lost = ", ".join(f"{number(count)} {how}" for count, how in told if count)
    if lost:
        yield _note(f"{whose} has receipts that are in no figure, since the beginning: {lost}.")


def _last_heard(snapshot: Snapshot) -> str:
    heard_ms = snapshot.fleet.last_heard_ms
    return "" if heard_ms is None else f"; the last one was heard {age(heard_ms, snapshot.now_ms)}"


def _of(count: int, total: int, which: str = "") -> str:
    """Say "2 of 3 connected devices are"."""
    kind = f"{which} device" if which else "device"
    plural = "" if total == 1 else "s"
    verb = "is" if count == 1 else "are"
    return f"{number(count)} of {number(total)} {kind}{plural} {verb}"


def _line(err: BaseException) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0]


def _fault(text: str) -> Finding:
    return Finding(severity=Severity.FAULT, text=text)


def _warning(text: str) -> Finding:
    return Finding(severity=Severity.WARNING, text=text)


def _note(text: str) -> Finding:
    return Finding(severity=Severity.NOTE, text=text)


def _worst_first(*found: Finding) -> tuple[Finding, ...]:
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))
