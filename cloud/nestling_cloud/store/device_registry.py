"""Stores every known device with the latest state that it reported."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from nestling import sparkplug_metrics
from nestling_cloud.store import tables
from nestling_cloud.store.database import upsert, write_all
from nestling_cloud.store.receipt_row import (
    LARGEST_INTEGER,
    LATEST_ANSWER_MS,
    LONGEST_TEXT,
)

# Fields that a device may withdraw by sending null.
_NULLABLE = {
    sparkplug_metrics.OFFLOAD_SHARE: "offload_share",
    sparkplug_metrics.DRIFTING: "drifting",
    sparkplug_metrics.TOLERATED_RISK: "tolerated_risk",
    sparkplug_metrics.GUARANTEED_SINCE: "guaranteed_since_ms",
    sparkplug_metrics.INPUTS_TO_GO: "inputs_to_go",
    sparkplug_metrics.GUARANTEE_ALARMS: "guarantee_alarms",
}


@dataclass(frozen=True, kw_only=True)
class Report:
    """The state of a device, as reported in one or more of its messages.

    A field that the messages leave out is None.

    Attributes:
        device: the device's id.
        seen_ms: the Unix time at which the last message arrived.
        online: True after a birth certificate, the message by which a device comes online; False
            after a death certificate.
        profile: the name of the device's board.
        bundle_version: the version of the bundle that the device runs.
        capacity: the largest capacity in the device's memory; 0 if there is none.
        battery: the charge left, from 0 to 1.
        outbox_depth: the number of receipts that the device still holds.
        offload_share: the share of inputs that the device aims to send to the cloud.
        drifting: whether the device's inputs are harder than those of the calibration.
        pending: the number of inputs that the device has answered and about which it will still ask
            the cloud.
        tolerated_risk: the tolerated share, 0 to 1, of the answers kept by choice that the cloud
            would change if it were asked.
        guaranteed_since_ms: the Unix time since which the tolerated risk is guaranteed.
        inputs_to_go: the estimated number of further inputs until the risk is guaranteed.
        guarantee_alarms: how often the device has found the risk exceeded.
        withdrawn: the names of the fields of this class that the device has set to null.
        answers: the number of answers whose receipts were stored for the first time.
        answered_ms: the Unix time of the latest of these answers; 0 if there are none.
    """

    device: str
    seen_ms: int
    online: bool | None = None
    profile: str | None = None
    bundle_version: str | None = None
    capacity: int | None = None
    battery: float | None = None
    outbox_depth: int | None = None
    offload_share: float | None = None
    drifting: bool | None = None
    pending: int | None = None
    tolerated_risk: float | None = None
    guaranteed_since_ms: int | None = None
    inputs_to_go: int | None = None
    guarantee_alarms: int | None = None
    withdrawn: frozenset[str] = frozenset()
    answers: int = 0
    answered_ms: int = 0


def report(
    device: str,
    values: Mapping[str, sparkplug_metrics.MetricValue | None],
    *,
    seen_ms: int,
    online: bool | None = None,
) -> Report:
    """Build a report from the metrics in a device's message.

    A value of a wrong type or outside its range is left out.

    Args:
        device: the device's id.
        values: a mapping from the name of a metric to its value; None for null.
        seen_ms: the Unix time at which the message arrived.
        online: True for a birth certificate, False for a death certificate, otherwise None.
    """
    return Report(
        device=device,
        seen_ms=seen_ms,
        online=online,
        profile=_text(values.get(sparkplug_metrics.PROFILE)),
        bundle_version=_text(values.get(sparkplug_metrics.BUNDLE_VERSION)),
        capacity=_count(values.get(sparkplug_metrics.CAPACITY)),
        battery=_share(values.get(sparkplug_metrics.BATTERY)),
        outbox_depth=_count(values.get(sparkplug_metrics.OUTBOX_DEPTH)),
        offload_share=_share(values.get(sparkplug_metrics.OFFLOAD_SHARE)),
        drifting=_truth(values.get(sparkplug_metrics.DRIFTING)),
        pending=_count(values.get(sparkplug_metrics.PENDING)),
        tolerated_risk=_share(values.get(sparkplug_metrics.TOLERATED_RISK)),
        guaranteed_since_ms=_time(values.get(sparkplug_metrics.GUARANTEED_SINCE)),
        inputs_to_go=_count(values.get(sparkplug_metrics.INPUTS_TO_GO)),
        guarantee_alarms=_count(values.get(sparkplug_metrics.GUARANTEE_ALARMS)),
        withdrawn=frozenset(
            field for name, field in _NULLABLE.items() if values.get(name, False) is None
        ),
    )


def join(earlier: Report | None, later: Report) -> Report:
    """Return one report that combines two reports of a device.

    If both reports have a field, the value in the later report counts. The numbers of answers are
    added, and the later of the two times of an answer is kept.

    Args:
        earlier: the report that arrived first; None if there is none.
        later: the report that arrived second.
    """
    if earlier is None:
        return later
    reported: dict[str, Any] = {
        name: value
        for name, value in vars(later).items()
        if value is not None and name not in {"answers", "answered_ms", "withdrawn"}
    }
    reported = {**dict.fromkeys(later.withdrawn), **reported}
    return replace(
        earlier,
        **reported,
        withdrawn=(earlier.withdrawn - reported.keys()) | later.withdrawn,
        answers=earlier.answers + later.answers,
        answered_ms=max(earlier.answered_ms, later.answered_ms),
    )


def write(connection: sa.Connection, reports: Iterable[Report]) -> None:
    """Update the stored state of devices with reports.

    A field that a report leaves out keeps its stored value, and a withdrawn field becomes null. The
    numbers of answers are added to the stored ones.

    Args:
        connection: a connection within a writing transaction.
        reports: the reports in order of arrival; several reports of one device are merged.
    """
    joined: dict[str, Report] = {}
    for each in reports:
        joined[each.device] = join(joined.get(each.device), each)
    insert = upsert(connection, tables.DEVICES)
    statement = insert.on_conflict_do_update(
        index_elements=["device"], set_=_changes(insert.excluded)
    )
    write_all(connection, statement, [_row(each) for _, each in sorted(joined.items())])
    for field in _NULLABLE.values():
        devices = sorted(each.device for each in joined.values() if field in each.withdrawn)
        if devices:
            _withdraw(connection, field, devices)


def end_all(connection: sa.Connection) -> list[str]:
    """Mark every device offline until its next birth certificate.

    Args:
        connection: a connection within a writing transaction.

    Returns:
        The ids of the devices that were online, sorted.
    """
    columns = tables.DEVICES.c
    were_online = sa.select(columns.device).where(columns.online).order_by(columns.device)
    devices = list(connection.execute(were_online).scalars())
    connection.execute(sa.update(tables.DEVICES).where(columns.online).values(online=False))
    return devices


def end(connection: sa.Connection, devices: Iterable[str]) -> None:
    """Mark devices offline until their next birth certificate.

    Args:
        connection: a connection within a writing transaction.
        devices: the ids of the devices.
    """
    columns = tables.DEVICES.c
    for device in devices:
        change = sa.update(tables.DEVICES).where(columns.device == device, columns.online)
        connection.execute(change.values(online=False))


def _row(given: Report) -> dict[str, Any]:
    row = {**vars(given), "last_seen_ms": given.seen_ms, "last_answered_ms": given.answered_ms}
    del row["seen_ms"], row["answered_ms"], row["withdrawn"]
    return row


def _withdraw(connection: sa.Connection, field: str, devices: list[str]) -> None:
    device = tables.DEVICES.c.device
    statement = sa.update(tables.DEVICES).where(device == sa.bindparam("whose"))
    values = [{"whose": each} for each in devices]
    connection.execute(statement.values({field: None}), values)


def _changes(new: Any) -> dict[str, Any]:
    old = tables.DEVICES.c
    reported = {
        name: sa.func.coalesce(new[name], old[name])
        for name in (
            "online",
            "profile",
            "bundle_version",
            "capacity",
            "battery",
            "outbox_depth",
            "offload_share",
            "drifting",
            "pending",
            "tolerated_risk",
            "guaranteed_since_ms",
            "inputs_to_go",
            "guarantee_alarms",
        )
    }
    latest = {
        name: sa.case((new[name] > old[name], new[name]), else_=old[name])
        for name in ("last_seen_ms", "last_answered_ms")
    }
    return {**reported, **latest, "answers": old.answers + new.answers}


def _text(value: object) -> str | None:
    if isinstance(value, str) and len(value) <= LONGEST_TEXT and "\0" not in value:
        return value
    return None


def _count(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_INTEGER:
        return value
    return None


def _time(value: object) -> int | None:
    at_ms = _count(value)
    return at_ms if at_ms is not None and at_ms <= LATEST_ANSWER_MS else None


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _share(value: object) -> float | None:
    return value if isinstance(value, float) and 0 <= value <= 1 else None  # rejects NaN too
