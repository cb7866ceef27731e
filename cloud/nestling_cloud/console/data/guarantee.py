"""Words what devices guarantee about their own answers, and what audits say about them.

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
    risk = percent(row.tolerated_risk)
    if row.guaranteed_since_ms is not None:
        return f"at most {risk}", f"guaranteed since {time_utc(row.guaranteed_since_ms)} UTC"
    if row.inputs_to_go is not None:
        return risk, f"not certified, about {number(row.inputs_to_go)} inputs to go"
    return risk, "not certified"


def table_guarantee(row: DeviceRow) -> str:
    """Return the risk that a device tolerates, in few words for the table of devices."""
    risk, _ = device_guarantee(row)
    if row.guaranteed_since_ms is not None or row.tolerated_risk is None:
        return risk
    if row.inputs_to_go is not None:
        return f"{risk}, {number(row.inputs_to_go)} to go"
    return f"{risk}, not certified"


def fleet_guarantee(view: FleetView) -> tuple[str, str]:
    """Return on how many devices the tolerated risk is guaranteed.

    Returns:
        The numbers of devices, and a remark.
    """
    if not view.tolerating:
        return NOTHING, "no device has a tolerated risk"
    counted = f"{number(view.guaranteed)} of {number(view.tolerating)}"
    return counted, "devices with a tolerated risk"


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
