"""What `nestling-device profile` measured on this machine: what the policy counts with."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from nestling.v1.receipt_pb2 import Provenance
from nestling_core.parsing.untrusted import parse_json
from nestling_device.storage import fsync

_log = logging.getLogger(__name__)

FILE_NAME = "profile.json"
_FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """What one run of a network took here.

    Attributes:
        latency_ms: median.
        latency_p95_ms: 95th percentile: what a limit is compared with.
        resident_bytes: memory of the whole process while it was loaded.
        energy_mj: mean above idle.
        energy_provenance: how that is known: "measured", "calibrated" or "modelled".
    """

    latency_ms: float
    latency_p95_ms: float
    resident_bytes: int
    energy_mj: float
    energy_provenance: str


@dataclass(frozen=True, kw_only=True)
class MeasuredCosts:
    """A profile: of one bundle, on one machine.

    Attributes:
        bundle: version of the bundle.
        machine: where it was taken; another machine's counts for nothing.
        taken_at: ISO 8601, UTC.
        meter: kind of the meter.
        idle_w: power while nothing ran; None without an instrument.
        active_w: what running networks added to it; None without an instrument.
        capacities: of capacity 1 to the largest held.
    """

    bundle: str
    machine: str
    taken_at: str
    meter: str
    idle_w: float | None
    active_w: float | None
    capacities: tuple[NetworkCost, ...]

    def capacity(self, bundle: str, number: int) -> NetworkCost | None:
        """Cost of a capacity of a bundle, None where it was not profiled."""
        if bundle != self.bundle or number > len(self.capacities):
            return None
        return self.capacities[number - 1]

    def to_json(self) -> str:
        """Write the file's text."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the file's text; raises ValueError where it is no such file."""
        data = parse_json(text)
        if not isinstance(data, dict) or data.pop("format", None) != _FORMAT:
            raise ValueError(f"not a profile of format {_FORMAT}")
        try:
            data["capacities"] = tuple(_network(entry) for entry in data["capacities"])
            return cls(**data)
        except (KeyError, TypeError) as err:
            raise ValueError(f"not a profile: {err}") from err


def read_costs(state_dir: Path, machine: str) -> MeasuredCosts | None:
    """Read the profile in a state folder.

    Returns:
        None where there is none, or none that counts: damaged, of another layout or machine.
    """
    path = state_dir / FILE_NAME
    try:
        costs = MeasuredCosts.from_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        _log.warning(
            "%s is left out: %s; nestling-device profile --write makes it again", path, err
        )
        return None
    if costs.machine != machine:
        _log.warning(
            "%s is left out: it was taken on %s, and this is %s; nestling-device profile --write "
            "makes it again",
            path,
            costs.machine,
            machine,
        )
        return None
    return costs


def write_costs(state_dir: Path, costs: MeasuredCosts) -> Path:
    """Put a profile in the place of the one before; a kill leaves the old one or the new one.

    Raises:
        OSError: the folder cannot be written.
    """
    path = state_dir / FILE_NAME
    fsync.replace_file(path, costs.to_json())
    return path


def _network(entry: Mapping[str, Any]) -> NetworkCost:
    numbers = ("latency_ms", "latency_p95_ms", "resident_bytes", "energy_mj")
    if set(entry) != {field.name for field in fields(NetworkCost)}:
        raise TypeError("a network's figures are not all there")
    if not all(isinstance(entry[name], int | float) and entry[name] >= 0 for name in numbers):
        raise TypeError("a network's figures are no numbers")
    return NetworkCost(**entry)


def provenance_name(provenance: Provenance.ValueType) -> str:
    """Name a provenance in lower case."""
    return Provenance.Name(provenance).removeprefix("PROVENANCE_").lower()
