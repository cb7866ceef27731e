"""Formats what devices guarantee about their own answers, and what audits found, as short texts.

All functions are pure.
"""

from nestling_cloud.console.data.units import NOTHING, number, percent, time_utc
from nestling_cloud.metrics.figures import Totals
from nestling_cloud.metrics.views import DeviceRow, FleetView

AGREEMENT_NOTE = (
    "Under a tolerated risk, a device audits more often while it is suspicious, and every audit "
    "counts once, so the agreement leans to hard periods."
)


def device_guarantee(row: DeviceRow) -> tuple[str, str]:
    """Return the risk that a device tolerates, and whether it is guaranteed.

    Returns:
        The risk, and a remark.
    """
    if row.tolerated_risk is None:
        return NOTHING, "no tolerated risk"
    risk, alarms = percent(row.tolerated_risk), _alarms(row)
    if row.guaranteed_since_ms is not None:
        since = f"guaranteed since {time_utc(row.guaranteed_since_ms)} UTC"
        return f"at most {risk}", since + alarms
    if row.inputs_to_go is not None:
        return risk, f"not certified, about {number(row.inputs_to_go)} inputs to go{alarms}"
    return risk, f"not certified{alarms}"


def table_guarantee(row: DeviceRow) -> str:
    """Return the risk that a device tolerates, in few words for the table of devices."""
    risk, _ = device_guarantee(row)
    if row.tolerated_risk is None:
        return risk
    if row.guaranteed_since_ms is not None:
        return risk + _alarms(row)
    if row.inputs_to_go is not None:
        return f"{risk}, {number(row.inputs_to_go)} to go{_alarms(row)}"
    return f"{risk}, not certified{_alarms(row)}"


def fleet_guarantee(view: FleetView) -> tuple[str, str]:
    """Return on how many devices the tolerated risk is guaranteed.

    Returns:
        The numbers of devices, and a remark.
    """
    found = view.guarantees
    if not found.tolerating:
        return NOTHING, "no device has a tolerated risk"
    remark = "devices with a tolerated risk"
    if found.guaranteed_since_ms is not None:
        remark += f", the last since {time_utc(found.guaranteed_since_ms)} UTC"
    if found.inputs_to_go is not None:
        remark += f"; as far as known, up to about {number(found.inputs_to_go)} inputs to go"
    if found.alarmed:
        remark += f"; {number(found.alarmed)} with alarms"
    return f"{number(found.guaranteed)} of {number(found.tolerating)}", remark


def _alarms(row: DeviceRow) -> str:
    if not row.guarantee_alarms:
        return ""
    return f"; {number(row.guarantee_alarms)} {'alarm' if row.guarantee_alarms == 1 else 'alarms'}"


def agreement(totals: Totals) -> tuple[str, str]:
    """Return the audited agreement of a fleet or a device.

    Returns:
        The agreement, and a remark with its interval and the number of audits.
    """
    if totals.agreement is None or totals.agreement_interval is None:
        return NOTHING, "no audits"
    low, high = totals.agreement_interval
    interval = f"95 % interval {percent(low)} to {percent(high)}"
    audits = "audit" if totals.audited == 1 else "audits"
    return percent(totals.agreement), f"{interval}, {number(totals.audited)} {audits}"


def revisions(totals: Totals) -> tuple[str, str]:
    """Return how many inputs were deferred, and what became of deferred inputs.

    Returns:
        The number of inputs, and a remark.
    """
    remark = f"{number(totals.revised)} answered later, {number(totals.changed)} changed"
    if totals.expired:
        remark += f", {number(totals.expired)} expired (audits included)"
    return number(totals.deferred), remark
