"""Describes how a run was routed, and on which inputs its accuracies were measured."""

from collections.abc import Mapping
from typing import Any

from nestling_sim.report.evidence import Timeline

_FILTERED = (
    'Routers and options marked "filtered" have the memory of the bundle: each device carries its '
    "belief about the class from input to input, by the bundle's stream filter, and the cloud "
    "alone has a filter that was fitted to it on calibration inputs."
)
_INDEPENDENT = (
    "The bundle has no stream filter: its calibration inputs are no recordings, or neighbors in "
    "them are not alike. Every input is judged by itself."
)


def filtered_or_not(summary: Mapping[str, Any]) -> str:
    """Return a text that explains "filtered", or says that the bundle has no stream filter."""
    return _FILTERED if "device_only_filtered" in summary["accuracy"] else _INDEPENDENT


def measured_on(summary: Mapping[str, Any]) -> str:
    """Return a sentence that names the inputs on which accuracies were measured."""
    known = "that neither the models nor their router saw"
    if "federated" in summary:
        known += " before the federated rounds, in which the devices learned from the same people"
    return f"Accuracies are on the task's {summary['recordings']} test recordings, {known}."


def stream_description(timeline: Timeline) -> str:
    """Return a text that explains the picture of a timeline."""
    return (
        f"The first {len(timeline.moments)} inputs of {timeline.device}, the device that the cloud "
        "answered most often. The line is the device's belief in its own answer, before the cloud "
        "answered. Bands are stretches of one true class, with its name. The lower part shows "
        "which capacity answered, or the cloud."
    )
