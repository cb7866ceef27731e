"""Reads scenarios, which describe a task, the devices that run it, and their conditions.

Scenarios are TOML files, explained in docs/simulate.md. Most models below are tables of the file.
`Scenario.fleet` expands the device tables into one `Device` for each device.
"""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from nestling_core.parsing.text import EncodingError, decode_text
from nestling_sim.errors import SimError
from nestling_sim.scenario.file_errors import closest, describe, root_faults
from nestling_sim.scenario.limits import AnswerLimits, Memory, Positive, Table

Profile = Literal["pi-zero-2w", "pi-4b", "pi-5"]
LinkName = Literal["wifi", "bluetooth", "hsdpa", "lte", "nb-iot"]
Delivery = Literal["grpc", "mqtt"]
Share = Annotated[float, Field(ge=0, le=1)]

EVERY_DEVICE = "*"
_BUILT_IN = files("nestling_sim") / "scenarios"


class ScenarioError(SimError):
    """Raised when a scenario does not exist, cannot be read, or has unknown or invalid entries."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """One simulated device, with the budget that it has while no condition applies.

    Attributes:
        device_id: the id `<profile>-<n>`, in which n counts the devices of the profile from 1.
        profile: the name of the device's board in the power table.
        memory: the memory budget of a resident capacity (a capacity that is loaded and can run).
        limits: the limits on time and energy of one answer.
        link: the name of the device's radio link in the power table.
        mbit_s: the throughput of the uplink, Mbit/s.
        rtt_ms: the round-trip time of the link, ms.
        delivery: the protocol by which the device fetches its bundle.
    """

    device_id: str
    profile: Profile
    memory: Memory
    limits: AnswerLimits
    link: LinkName
    mbit_s: float
    rtt_ms: float
    delivery: Delivery


class OffloadTable(Table):
    """The `[offload]` table, with the targets of routing and the deadline of an offload.

    The targets are averages per input (a share, an energy or a latency), or a tolerated risk. A
    device keeps an average over `window` inputs; if `window` is 0, the target becomes a static
    threshold. The part `audit_share` of the kept answers is also sent to the cloud, for an audit.
    With `defer`, hard inputs wait for the cloud if it is not an option or fails.
    """

    share: Share = 0.0
    window: Annotated[int, Field(ge=0, le=1_000_000)] = 500
    tolerated_risk: Share = 0.0
    energy_per_input_mj: Annotated[float, Field(ge=0)] = 0.0
    latency_per_input_ms: Annotated[float, Field(ge=0)] = 0.0
    audit_share: Share = 0.01
    defer: bool = False
    deadline_ms: Positive

    @model_validator(mode="after")
    def _targets(self) -> Self:
        """Raise ValueError if the table sets no target.

        Without a target, the fleet would never use the cloud.
        """
        others = (self.tolerated_risk, self.energy_per_input_mj, self.latency_per_input_ms)
        if "share" not in self.model_fields_set and not any(others):
            raise ValueError("no target is given; give it a share, from 0 to 1")
        return self


class DeviceTable(Memory, AnswerLimits):
    """A `[[devices]]` table, which describes a number of identical devices.

    In the names of its keys, `kb` stands for 1000 bytes.
    """

    profile: Profile
    count: Annotated[int, Field(ge=1, le=1000)]
    link: LinkName
    mbit_s: Positive
    rtt_ms: Annotated[float, Field(ge=0)]
    delivery: Delivery = "grpc"


class FederatedTable(Table):
    """The `[federated]` table, with the drift of the sensors and the settings of the rounds."""

    rotation_degrees: Annotated[float, Field(ge=0, le=180)]
    speed: Annotated[float, Field(ge=0, lt=1)]
    local_part: Annotated[float, Field(gt=0, lt=1)]
    rounds: Annotated[int, Field(ge=1, le=1000)]
    local_epochs: Annotated[int, Field(ge=1, le=1000)]


class _ConditionTable(Table):
    devices: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    start: Annotated[float, Field(ge=0, lt=1, alias="from")]
    until: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> Self:
        if self.start >= self.until:
            raise ValueError(
                f"found from = {self.start} and until = {self.until}; from has to be smaller"
            )
        return self


class MemoryCondition(_ConditionTable, Memory):
    """A condition that changes the memory budget.

    In the names of its keys, `kb` stands for 1000 bytes.
    """

    kind: Literal["memory"]


class BatteryCondition(_ConditionTable):
    """A condition that sets the charge of the battery, from 0 to 1."""

    kind: Literal["battery"]
    battery: Share


class LinkCondition(_ConditionTable):
    """A condition that changes the throughput and the round-trip time of the link."""

    kind: Literal["link"]
    mbit_s: Annotated[float, Field(ge=0)]
    rtt_ms: Annotated[float, Field(ge=0)]


class OutageCondition(_ConditionTable):
    """A condition that cuts the device off from the cloud and the broker.

    The device notices the outage only when it tries to send.
    """

    kind: Literal["outage"]


Condition = Annotated[
    MemoryCondition | BatteryCondition | LinkCondition | OutageCondition,
    Field(discriminator="kind"),
]


class Scenario(Table):
    """The validated content of a scenario file."""

    task: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)]
    offload: OffloadTable
    devices: Annotated[tuple[DeviceTable, ...], Field(min_length=1, strict=False)]
    conditions: Annotated[tuple[Condition, ...], Field(strict=False)] = ()
    federated: FederatedTable | None = None

    @model_validator(mode="after")
    def _conditions_meet_a_device(self) -> Self:
        known = {name for one in self.fleet() for name in (one.profile, one.device_id)}
        for number, entry in enumerate(self.conditions, start=1):
            for name in entry.devices:
                if name != EVERY_DEVICE and name not in known:
                    raise ValueError(
                        f"[[conditions]] table {number}, key devices: found {name!r}"
                        f"{closest(name, known)}; allowed: '*', {', '.join(sorted(known))}"
                    )
        return self

    def fleet(self) -> tuple[Device, ...]:
        """Return every device of the scenario.

        If two tables have the same profile, the second table's devices continue the numbering of
        the first.
        """
        made: dict[str, int] = {}
        fleet: list[Device] = []
        for table in self.devices:
            for _ in range(table.count):
                made[table.profile] = made.get(table.profile, 0) + 1
                fleet.append(_device(table, made[table.profile]))
        return tuple(fleet)


def _keys(table: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in table.model_fields.items()]


_KEYS = {
    "": _keys(Scenario),
    "offload": _keys(OffloadTable),
    "federated": _keys(FederatedTable),
    "devices": _keys(DeviceTable),
    "memory": _keys(MemoryCondition),
    "battery": _keys(BatteryCondition),
    "link": _keys(LinkCondition),
    "outage": _keys(OutageCondition),
}


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Read and validate a scenario, and return it.

    Args:
        name_or_path: the name of a built-in scenario, or the path of a TOML file.

    Raises:
        ScenarioError: the scenario does not exist, is not TOML, or has invalid entries. The text
            names the file, the key, the value that was found and the values that are allowed.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml" and len(path.parts) == 1:
        return _parse(f"scenario {name_or_path}", _read_built_in(str(name_or_path)))
    try:
        text = decode_text(path.read_bytes())
    except (OSError, EncodingError) as err:
        raise ScenarioError(f"{path}: not a readable TOML file: {err}") from err
    return _parse(str(path), text)


def built_in_scenarios() -> list[str]:
    """Return the names of the built-in scenarios."""
    return sorted(one.name.removesuffix(".toml") for one in _BUILT_IN.iterdir())


def _read_built_in(name: str) -> str:
    known = built_in_scenarios()
    if name not in known:
        raise ScenarioError(
            f"no scenario {name!r}{closest(name, known)}; built in: {', '.join(known)}; "
            "or give the path of a .toml file"
        )
    return (_BUILT_IN / f"{name}.toml").read_text(encoding="utf-8")


def _parse(source: str, text: str) -> Scenario:
    try:
        tables: dict[str, Any] = tomllib.loads(text)
        return Scenario.model_validate(tables)
    except (tomllib.TOMLDecodeError, RecursionError) as err:
        raise ScenarioError(f"{source}: not TOML: {err}") from err
    except ValidationError as err:
        faults = [f"{source}: {describe(fault, _KEYS)}" for fault in root_faults(err.errors())]
        raise ScenarioError("\n".join(faults)) from err


def _device(table: DeviceTable, number: int) -> Device:
    return Device(
        device_id=f"{table.profile}-{number}",
        profile=table.profile,
        memory=table,
        limits=table,
        link=table.link,
        mbit_s=table.mbit_s,
        rtt_ms=table.rtt_ms,
        delivery=table.delivery,
    )
