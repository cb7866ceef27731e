"""Reads the latencies of probes from the table that `nestling-device profile --models` writes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestling_cloud.errors import CloudError
from nestling_cloud.latency.family import Family
from nestling_cloud.latency.probes import Probe, Probes
from nestling_cloud.latency.widths import Widths
from nestling_core.parsing.untrusted_data import parse_json

_FORMAT = 1


class TableError(CloudError):
    """Raised when a latency table cannot be read, or does not match the probes."""


@dataclass(frozen=True, kw_only=True)
class LatencyTable:
    """The measured latencies of a family's networks on one machine.

    Attributes:
        machine: a description of the machine.
        family: the family of the networks.
        widths: for each network, the number of channels of every block that has its own width, in
            order.
        microseconds: the median time of one run of each network, in µs.
    """

    machine: str
    family: Family
    widths: tuple[Widths, ...]
    microseconds: tuple[float, ...]


def read_table(path: Path, probes: Probes) -> LatencyTable:
    """Return the latencies that a device measured for probes.

    The file may also contain the latencies of other models.

    Args:
        path: the file written by `nestling-device profile --models`.
        probes: the probes that were measured.

    Raises:
        TableError: the file cannot be read, lacks a probe, or has an invalid latency, or the device
            measured a model file that differs from the probe's.
    """
    fields = _fields(path)
    try:
        latencies = [(probe, _latency_us(fields["models"], probe)) for probe in probes.probes]
        machine = str(fields["machine"])
    except (KeyError, TypeError, ValueError) as err:
        raise TableError(
            f"{path} is not a latency table of these probes ({err}); measure them with "
            "nestling-device profile --models"
        ) from err
    return LatencyTable(
        machine=machine,
        family=probes.family,
        widths=tuple(probe.widths for probe, _ in latencies),
        microseconds=tuple(latency for _, latency in latencies),
    )


def _fields(path: Path) -> Mapping[str, Any]:
    try:
        fields = parse_json(path.read_bytes())
    except OSError as err:
        raise TableError(
            f"cannot read {path}: {err.strerror}; name the file that nestling-device profile "
            "--models has written"
        ) from err
    except ValueError as err:
        raise TableError(f"{path} is {err}; measure the probes again") from err
    if not isinstance(fields, dict) or fields.get("format") != _FORMAT or "models" not in fields:
        raise TableError(
            f"{path} is not a latency table of format {_FORMAT}; nestling-device profile --models "
            "DIR --out FILE writes one"
        )
    return fields


def _latency_us(models: Mapping[str, Any], probe: Probe) -> float:
    if probe.model not in models:
        raise ValueError(f"it has no {probe.model}")
    entry = models[probe.model]
    if entry["sha256"] != probe.sha256:
        raise ValueError(f"it measured another {probe.model}")
    latency = float(entry["latency_ms"]) * 1e3
    if not (math.isfinite(latency) and latency > 0):
        raise ValueError(f"its latency of {probe.model} is {latency} µs")
    return latency
