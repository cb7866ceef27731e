"""Reads and writes the costs that `nestling-device profile` measured on this machine."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from nestling.v1.receipt_pb2 import Provenance
from nestling_core.parsing.untrusted_data import parse_json
from nestling_device.storage.atomic_file import replace_file

_log = logging.getLogger(__name__)

FILE_NAME = "profile.json"
_FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """The measured cost of one run of a network.

    Attributes:
        latency_ms: the median time of a run, in ms.
        latency_p95_ms: the 95th percentile of the time of a run, in ms. Limits are compared with
            this time.
        resident_bytes: the resident memory of the whole process while the network was loaded.
        energy_mj: the mean energy of a run above the idle energy, in mJ. If it could not be
            measured, it is modelled from the median time.
        energy_provenance: how the energy is known: "measured", "calibrated" or "modelled".
    """

    latency_ms: float
    latency_p95_ms: float
    resident_bytes: int
    energy_mj: float
    energy_provenance: str


@dataclass(frozen=True, kw_only=True)
class MeasuredCosts:
    """The costs of one bundle, measured on one machine.

    Attributes:
        bundle: the version of the bundle.
        machine: the name of the machine. The costs are not valid on any other.
        taken_at: the time of the measurement in UTC, in ISO 8601 form.
        meter: the kind of meter, as in the configuration.
        idle_w: the power while nothing ran, in watts, or None if it was not measured.
        active_w: the power that running networks added, in watts, or None if it was not measured.
        capacities: the costs of all capacities on the device, smallest capacity first.
    """

    bundle: str
    machine: str
    taken_at: str
    meter: str
    idle_w: float | None
    active_w: float | None
    capacities: tuple[NetworkCost, ...]

    def capacity(self, bundle: str, number: int) -> NetworkCost | None:
        """Return the cost of a capacity of a bundle, or None if it was not measured.

        Args:
            bundle: the version of the bundle.
            number: the capacity, 1 to K.
        """
        if bundle != self.bundle or number > len(self.capacities):
            return None
        return self.capacities[number - 1]

    def to_json(self) -> str:
        """Return the costs as JSON text."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse costs from JSON text.

        Raises:
            ValueError: the text is not in the format that `to_json` writes.
        """
        data = parse_json(text)
        if not isinstance(data, dict) or data.pop("format", None) != _FORMAT:
            raise ValueError(f"not a profile of format {_FORMAT}")
        try:
            data["capacities"] = tuple(_network(entry) for entry in data["capacities"])
            return cls(**data)
        except (KeyError, TypeError) as err:
            raise ValueError(f"not a profile: {err}") from err


def read_costs(state_dir: Path, machine: str) -> MeasuredCosts | None:
    """Read the measured costs from a state folder.

    Args:
        state_dir: the device's state folder.
        machine: the name of this machine.

    Returns:
        The costs, or None if there is no file. The result is also None if the file cannot be read,
        has another format, or is from another machine. In these cases, a warning is logged.
    """
    path = state_dir / FILE_NAME
    try:
        costs = MeasuredCosts.from_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        _log.warning(
            "%s is ignored: %s; run nestling-device profile --write to replace it", path, err
        )
        return None
    if costs.machine != machine:
        _log.warning(
            "%s is ignored: it was taken on %s, and this is %s; run nestling-device profile "
            "--write to replace it",
            path,
            costs.machine,
            machine,
        )
        return None
    return costs


def write_costs(state_dir: Path, costs: MeasuredCosts) -> Path:
    """Write measured costs to a state folder, replacing older ones atomically.

    Args:
        state_dir: the device's state folder.
        costs: the measured costs.

    Returns:
        The path of the file.

    Raises:
        OSError: the folder cannot be written.
    """
    path = state_dir / FILE_NAME
    replace_file(path, costs.to_json())
    return path


def _network(entry: Mapping[str, Any]) -> NetworkCost:
    numbers = ("latency_ms", "latency_p95_ms", "resident_bytes", "energy_mj")
    if set(entry) != {field.name for field in fields(NetworkCost)}:
        raise TypeError("a network has missing or unknown fields")
    if not all(isinstance(entry[name], int | float) and entry[name] >= 0 for name in numbers):
        raise TypeError("a network has a figure that is not a number from 0")
    return NetworkCost(**entry)


def provenance_name(provenance: Provenance.ValueType) -> str:
    """Return the name of a provenance in lower case, such as "measured".

    A provenance says how a figure is known.
    """
    return Provenance.Name(provenance).removeprefix("PROVENANCE_").lower()
