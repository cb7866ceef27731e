"""Builds the report's section on inputs whose offload was ruled out or failed.

A parameter `not_sent` is the entry of that name in summary.json.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nestling_sim.report.evidence import in_natural_order
from nestling_sim.report.tables import Table, significant

_LABELS = {
    "no_link": "no link",
    "energy_limit": "energy limit",
    "low_battery": "energy limit at low battery",
    "latency_limit": "latency limit",
    "back_off": "backing off after a failure",
    "deadline_missed": "deadline missed",
    "unreachable": "cloud unreachable",
    "overloaded": "cloud overloaded",
    "bad_answer": "unusable answer",
}
_NOTHING = "-"


def description(summary: Mapping[str, Any]) -> str:
    """Return the introductory text of the section."""
    not_sent = summary["not_sent"]
    if not not_sent["inputs"]:
        return "None: the cloud was available for every input."
    never = never_sent(not_sent)
    return (
        f"For {not_sent['inputs']:,} of {summary['inputs']:,} inputs the cloud was not an option, "
        "or it did not answer. A limit on one answer applies to what ran on the device and to the "
        "transfer together. An input over two limits counts for both."
        f"{f' Devices that could never send: {never}.' if never else ''}"
    )


def reasons_line(not_sent: Mapping[str, Any]) -> str:
    """Return a line that counts inputs by the reason why their offload was ruled out or failed."""
    return ", ".join(
        f"{_LABELS[reason]} {count:,}" for reason, count in not_sent["reasons"].items()
    )


def never_sent(not_sent: Mapping[str, Any]) -> str:
    """Return a line that lists the devices on which limits ruled out every offload, by cause.

    The line is "" if there are no such devices.
    """
    by_cause: dict[str, list[str]] = {}
    for device in in_natural_order(not_sent["never"]):
        by_cause.setdefault(_cause(not_sent["devices"][device]), []).append(device)
    return "; ".join(f"{', '.join(devices)}: {cause}" for cause, devices in by_cause.items())


def by_reason(summary: Mapping[str, Any]) -> Table:
    """Return a table of the reasons why offloads were ruled out or failed.

    For each reason, the table has the number of inputs and the number of devices.
    """
    not_sent = summary["not_sent"]
    rows = []
    for reason, count in not_sent["reasons"].items():
        devices = sum(reason in reasons for reasons in not_sent["devices"].values())
        rows.append((_LABELS[reason], f"{count:,}", f"{devices} of {summary['devices']}"))
    return Table(head=("reason", "inputs", "devices"), rows=rows)


def by_device(summary: Mapping[str, Any]) -> Table:
    """Return a table of the reasons why each device's offloads were ruled out or failed.

    For each reason, the table has the number of inputs. If the reason is a limit with a unit, the
    table also has the amounts that were needed and allowed. These amounts are from the input that
    exceeded the limit by the largest factor.
    """
    devices = summary["not_sent"]["devices"]
    return Table(
        head=("device", "reason", "inputs", "largest need", "allowed"),
        rows=[
            (device, _LABELS[reason], f"{one['inputs']:,}", *_pair(one))
            for device in in_natural_order(devices)
            for reason, one in devices[device].items()
        ],
    )


def _cause(reasons: Mapping[str, Mapping[str, Any]]) -> str:
    return " and ".join(
        f"{_LABELS[reason]} (an offload needs {needed}, the limit is {allowed})"
        for reason, one in reasons.items()
        for needed, allowed in [_pair(one)]
        if needed != _NOTHING
    ) or " and ".join(_LABELS[reason] for reason in reasons)


def _pair(one: Mapping[str, Any]) -> Sequence[str]:
    if "needed" not in one:
        return _NOTHING, _NOTHING
    return tuple(f"{significant(one[key])} {one['unit']}" for key in ("needed", "allowed"))
