"""The report's part on inputs that could not go to the cloud."""

from collections.abc import Mapping, Sequence
from typing import Any

from nestling_sim.report.evidence import in_spoken_order
from nestling_sim.report.tables import Table, significant

_WORDS = {
    "no_link": "no link",
    "energy_limit": "energy limit",
    "low_battery": "energy limit at low battery",
    "latency_limit": "latency limit",
    "back_off": "left alone after a failure",
    "deadline_missed": "deadline missed",
    "unreachable": "cloud unreachable",
    "bad_answer": "unusable answer",
}
_NOTHING = "-"


def refusal_words(summary: Mapping[str, Any]) -> str:
    """What the section says above its tables."""
    found = summary["not_sent"]
    if not found["inputs"]:
        return "None: every input could have gone."
    return (
        f"{found['inputs']:,} of {summary['inputs']:,} inputs could not be answered by the cloud, "
        "whatever it would have been worth. A limit of one answer counts what ran on the device "
        "and the transfer together; an input over two limits counts for both. "
        f"{shut_out(found)}"
    ).rstrip()


def reasons_line(found: Mapping[str, Any]) -> str:
    """Every reason with its count, in one line."""
    return ", ".join(f"{_WORDS[reason]} {count:,}" for reason, count in found["reasons"].items())


def shut_out(found: Mapping[str, Any]) -> str:
    """Say which devices never could send, and what kept them; empty where all could."""
    if not found["never"]:
        return ""
    kept: dict[str, list[str]] = {}
    for device in in_spoken_order(found["never"]):
        kept.setdefault(_cause(found["devices"][device]), []).append(device)
    told = "; ".join(f"{', '.join(devices)}: {cause}" for cause, devices in kept.items())
    return f"Never within the limits: {told}."


def by_reason(summary: Mapping[str, Any]) -> Table:
    """Each reason over the fleet."""
    found = summary["not_sent"]
    rows = []
    for reason, count in found["reasons"].items():
        held = [one[reason] for one in found["devices"].values() if reason in one]
        rows.append((_WORDS[reason], f"{count:,}", f"{len(held)} of {summary['devices']}"))
    return Table(head=("reason", "inputs", "devices"), rows=rows)


def by_device(summary: Mapping[str, Any]) -> Table:
    """Each reason of each device, with the figure needed and the figure allowed."""
    devices = summary["not_sent"]["devices"]
    return Table(
        head=("device", "reason", "inputs", "most needed", "allowed then"),
        rows=[
            (device, _WORDS[reason], f"{one['inputs']:,}", *_pair(one))
            for device in in_spoken_order(devices)
            for reason, one in devices[device].items()
        ],
    )


def _cause(reasons: Mapping[str, Mapping[str, Any]]) -> str:
    return " and ".join(
        f"{_WORDS[reason]} (an offload needs {needed}, allowed are {allowed})"
        for reason, one in reasons.items()
        for needed, allowed in [_pair(one)]
        if needed != _NOTHING
    ) or " and ".join(_WORDS[reason] for reason in reasons)


def _pair(one: Mapping[str, Any]) -> Sequence[str]:
    if "needed" not in one:
        return _NOTHING, _NOTHING
    return tuple(f"{significant(one[key])} {one['unit']}" for key in ("needed", "allowed"))
