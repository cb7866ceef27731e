"""The table that `nestling-device profile --models` writes, joined with the probes it tells of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestling_cloud.errors import CloudError
from nestling_cloud.latency.family import Family
from nestling_cloud.latency.probes import Probe, Probes
from nestling_cloud.latency.widths import Widths
from nestling_core.parsing.untrusted import parse_json

_FORMAT = 1


class TableError(CloudError):
    """A table of latencies that cannot be read, or that tells of other networks."""


@dataclass(frozen=True, kw_only=True)
class LatencyTable:
    """What networks of a family took on a machine.

    Attributes:
        machine: where they were measured.
        family: whose networks they are.
        widths: of each network.
        microseconds: median of one run of each.
    """

    machine: str
    family: Family
    widths: tuple[Widths, ...]
    microseconds: tuple[float, ...]


def read_table(path: Path, probes: Probes) -> LatencyTable:
    """Read what a device measured of these probes; models that are none of them are passed over.

    Raises:
        TableError: no such table, or a probe is missing in it or was another network there.
    """
    fields = _fields(path)
    try:
        found = [(probe, _latency_us(fields["models"], probe)) for probe in probes.probes]
        machine = str(fields["machine"])
    except (KeyError, TypeError, ValueError) as err:
        raise TableError(
            f"{path} is no table of these probes ({err}); measure them with "
            "nestling-device profile --models"
        ) from err
    return LatencyTable(
        machine=machine,
        family=probes.family,
        widths=tuple(probe.widths for probe, _ in found),
        microseconds=tuple(latency for _, latency in found),
    )


def _fields(path: Path) -> Mapping[str, Any]:
    try:
        fields = parse_json(path.read_bytes())
    except OSError as err:
        raise TableError(f"{path}: {err.strerror}; name the file that a device wrote") from err
    except ValueError as err:
        raise TableError(f"{path} is no JSON: {err}") from err
    if not isinstance(fields, dict) or fields.get("format") != _FORMAT or "models" not in fields:
        raise TableError(
            f"{path} is no table of format {_FORMAT}; nestling-device profile --models DIR --out "
            "FILE writes one"
        )
    return fields


def _latency_us(models: Mapping[str, Any], probe: Probe) -> float:
    if probe.model not in models:
        raise ValueError(f"{probe.model} is not in it")
    entry = models[probe.model]
    if entry["sha256"] != probe.sha256:
        raise ValueError(f"{probe.model} was another file there")
    latency = float(entry["latency_ms"]) * 1e3
    if not (math.isfinite(latency) and latency > 0):
        raise ValueError(f"{probe.model} took {latency} microseconds")
    return latency
