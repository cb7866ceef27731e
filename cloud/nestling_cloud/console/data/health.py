"""Defines the rules that find what is wrong with a fleet or a device.

An empty result means that no rule found a problem, not that all is well. All rules are pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from nestling_cloud.bundles.quick_notice import QUICK_NOTICE
from nestling_cloud.console.data.rounds import RoundView
from nestling_cloud.console.data.units import age, number, percent
from nestling_cloud.metrics.fleet_health import LONG_OUTBOX, FleetCondition, Losses
from nestling_cloud.metrics.views import DeviceRow
from nestling_cloud.telemetry.ingest_status import IngestStatus

# A message dated later than now by more than this means that this machine's clock is wrong.
_CLOCK_MARGIN_MS = 60_000
# Fewer offloads say too little about whether the cloud answers.
_FEWEST_OFFLOADS = 10
_IDLE_MS = 600_000
# A device says how many inputs are missing only if it can foresee that.
_NO_END = (
    "The device does not say when it will be: it may have just started, or the risk may be too "
    "close to how often the cloud changes its answers. If its bundle was built with too few "
    "calibration inputs, or if the cloud is so much less accurate that nothing is sent, it never "
    "will be; the device's log then says so."
)


class Severity(Enum):
    """Severity of a finding, from a fault (the worst) to a note."""

    FAULT = "fault"  # the fleet, or this device, does not work
    WARNING = "warning"  # a part of it does not work, or soon will not
    NOTE = "note"  # everything works, but the reader of the figures should know this


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One problem that a health rule found.

    Attributes:
        severity: how bad the problem is.
        text: a message that says what is wrong and, where possible, what to do.
    """

    severity: Severity
    text: str


@dataclass(frozen=True, kw_only=True)
class Offloads:
    """Counts of the inputs that devices sent to the cloud in the last few minutes.

    Attributes:
        answered: the number of inputs that the cloud answered.
        fallbacks: the number of inputs that the device answered itself, because the cloud gave no
            usable answer in time.
    """

    answered: int = 0
    fallbacks: int = 0


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The state of the cloud and its fleet at one moment.

    Attributes:
        now_ms: the Unix time of this machine.
        uplink: the status of the ingest, which receives what devices send.
        fleet: the condition of the devices.
        desired: the bundle version that devices should run, or "" if there is none or it cannot be
            read.
        quick: whether this bundle was trained with `--quick`.
        release_fault: the reason why the released bundle cannot be read, or "" if it can be read.
        offloads: the numbers of offloads in the last five minutes.
        last_round: the last federated round, or None if there was none.
    """

    now_ms: int
    uplink: IngestStatus
    fleet: FleetCondition
    desired: str
    quick: bool = False
    release_fault: str = ""
    offloads: Offloads = Offloads()
    last_round: RoundView | None = None


def fleet_findings(snapshot: Snapshot) -> tuple[Finding, ...]:
    """Return the problems of a cloud and its fleet, worst first."""
    return _worst_first(
        *_of_cloud(snapshot), *_of_devices(snapshot), *_of_rounds(snapshot.last_round)
    )


def device_findings(snapshot: Snapshot, row: DeviceRow, losses: Losses) -> tuple[Finding, ...]:
    """Return the problems of a device and of the cloud that it reports to, worst first.

    Args:
        snapshot: the state of the cloud and the whole fleet.
        row: the state that the device last reported.
        losses: the numbers of lost receipts of this device.
    """
    return _worst_first(
        *_of_cloud(snapshot), *_of_device(snapshot, row), *_of_losses(losses, "this device")
    )


def store_finding(err: BaseException) -> Finding:
    """Return a finding that says that the store cannot be read, and why."""
    return _fault(
        f"The store cannot be read, so the figures may be out of date: {_first_line(err)}"
    )


def _of_cloud(snapshot: Snapshot) -> Iterator[Finding]:
    uplink = snapshot.uplink
    if not uplink.connected:
        yield _fault(
            f"The cloud has no connection to the broker at {uplink.broker}, so it receives nothing "
            "from devices. It keeps trying; check that the broker is running."
        )
    if uplink.store_fault:
        yield _fault(
            f"Receipts cannot be stored: {uplink.store_fault}. Devices keep their receipts and "
            "send them again; check that the database is writable."
        )
    if snapshot.release_fault:
        yield _fault(f"There is no bundle for devices to run: {snapshot.release_fault}")
    if snapshot.quick:
        yield _warning(f"The bundle {snapshot.desired} is {QUICK_NOTICE}")
    seen_ms = snapshot.fleet.last_seen_ms
    if seen_ms is not None and seen_ms > snapshot.now_ms + _CLOCK_MARGIN_MS:
        yield _fault(
            "This machine's clock is wrong, or was: the last message of a device is dated later "
            "than now. Set the clock; until then, figures appear at the wrong times."
        )


def _of_devices(snapshot: Snapshot) -> Iterator[Finding]:
    fleet = snapshot.fleet
    away = fleet.known - fleet.connected
    if fleet.known and not fleet.connected and snapshot.uplink.connected:
        yield _fault(f"No device is connected.{_last_message(snapshot)}")
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
            "set their clocks."
        )
    offloads = snapshot.offloads.answered + snapshot.offloads.fallbacks
    if offloads >= _FEWEST_OFFLOADS and 2 * snapshot.offloads.fallbacks > offloads:
        yield _warning(
            f"The cloud answered {number(snapshot.offloads.answered)} of {number(offloads)} inputs "
            "that devices sent in the last 5 min. The devices answered the others themselves."
        )
    answered_ms = fleet.last_answered_ms
    if fleet.connected and answered_ms is not None and answered_ms < snapshot.now_ms - _IDLE_MS:
        answered = age(answered_ms, snapshot.now_ms)
        yield _note(f"No device is answering inputs; the last answer was given {answered}.")
    yield from _of_losses(fleet.losses, "the fleet")
    if fleet.damaged:
        rows = "row of the store is" if fleet.damaged == 1 else "rows of the store are"
        yield _warning(
            f"{number(fleet.damaged)} {rows} damaged and left out; the log names them. Check the "
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
        last = age(row.last_seen_ms, snapshot.now_ms)
        yield _fault(
            f"This device is not connected. Last message: {last}. The state shown here is from "
            "then."
        )
    if snapshot.desired and row.bundle_version != snapshot.desired:
        running = row.bundle_version or "an unknown bundle"
        yield _warning(f"This device runs {running} and should run {snapshot.desired}.")
    if row.outbox_depth > LONG_OUTBOX:
        yield _warning(
            f"This device is holding {number(row.outbox_depth)} receipts that are not stored yet."
        )
    if row.online and row.tolerated_risk is not None and row.guaranteed_since_ms is None:
        yield _not_guaranteed(row, percent(row.tolerated_risk))


def _not_guaranteed(row: DeviceRow, risk: str) -> Finding:
    until = (
        _NO_END
        if row.inputs_to_go is None
        else "Until it is, the device asks the cloud about every input, unless a limit, a pause or "
        "a less accurate cloud rules that out."
    )
    if not row.guarantee_alarms:
        return _note(
            f"The risk of {risk} that this device tolerates is not guaranteed yet. {until}"
        )
    alarms = "alarm" if row.guarantee_alarms == 1 else "alarms"
    return _warning(
        f"The inputs of this device have changed: the cloud would have changed more than {risk} of "
        f"the answers that it kept ({number(row.guarantee_alarms)} {alarms} so far). The device "
        f"started over, and the risk is not guaranteed again yet. {until}"
    )


def _of_rounds(last: RoundView | None) -> Iterator[Finding]:
    if last is None:
        return
    name = f"The last federated round ({last.run}, round {last.number})"
    if not last.averaged:
        yield _warning(
            f"{name} did not change the model: too few updates were usable, {last.used} of "
            f"{last.invited}."
        )
    elif last.verdict and not last.bundle_version:
        yield _warning(f"{name} released nothing: {last.verdict}")
    elif last.dropped:
        left_out = f"{number(len(last.dropped))} of {number(last.invited)} clients"
        yield _note(f"{name} left out {left_out}.")


def _of_losses(losses: Losses, owner: str) -> Iterator[Finding]:
    causes = (
        (losses.dropped, "dropped by full outboxes"),
        (losses.rejected, "rejected because their values were invalid"),
        (losses.forgotten, "lost when the store was wiped or restored"),
        (losses.unreadable, "damaged on the device's disk"),
    )
    lost = ", ".join(f"{number(count)} {cause}" for count, cause in causes if count)
    if lost:
        yield _note(
            f"Since the store was created, some receipts of {owner} have been lost and are missing "
            f"from all figures: {lost}."
        )


def _last_message(snapshot: Snapshot) -> str:
    seen_ms = snapshot.fleet.last_seen_ms
    return "" if seen_ms is None else f" Last message: {age(seen_ms, snapshot.now_ms)}."


def _of(count: int, total: int, which: str = "") -> str:
    """Return a phrase such as "2 of 3 connected devices are"."""
    kind = f"{which} device" if which else "device"
    plural = "" if total == 1 else "s"
    verb = "is" if count == 1 else "are"
    return f"{number(count)} of {number(total)} {kind}{plural} {verb}"


def _first_line(err: BaseException) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0]


def _fault(text: str) -> Finding:
    return Finding(severity=Severity.FAULT, text=text)


def _warning(text: str) -> Finding:
    return Finding(severity=Severity.WARNING, text=text)


def _note(text: str) -> Finding:
    return Finding(severity=Severity.NOTE, text=text)


def _worst_first(*findings: Finding) -> tuple[Finding, ...]:
    order = list(Severity)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))
