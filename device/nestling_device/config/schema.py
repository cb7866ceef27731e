"""A device's configuration: what device.toml says, and flags on top of it.

Each table of the file is a dataclass here, each key a field with its default and what it may be.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from nestling.topics import check_device_id
from nestling_core.network.address import Address
from nestling_core.parsing.text import EncodingError, decode_text
from nestling_device.config.fields import Choice, Flag, Kind, NotAllowedError, Number, Text, setting
from nestling_device.energy.power_tables import profile_names
from nestling_device.errors import DeviceError

SYSTEM_FILE = Path("/etc/nestling/device.toml")

_T = TypeVar("_T")


class ConfigError(DeviceError):
    """A configuration that cannot be read, or that says what is not allowed."""


def _check_address(text: str) -> None:
    """Raise ValueError unless the text is HOST:PORT, or empty."""
    if text:
        Address.parse(text)


def _check_name(text: str) -> None:
    if text:
        check_device_id(text)


_POSITIVE = Number(low=0, above=True)
_ADDRESS = Text(
    "HOST:PORT without https://, an IPv6 address in brackets, for example cloud.example:8500",
    _check_address,
)
_BUS = Number(low=0, high=255, whole=True)
_CHIP = Number(low=0x08, high=0x77, whole=True)


@dataclass(frozen=True, kw_only=True)
class DeviceTable:
    """`[device]`: who this is."""

    id: str = setting(
        "",  # as it enrolled, otherwise device-1
        Text(
            "a device id of 1 to 64 letters, digits, dots, dashes and underscores, the first a "
            "letter or digit",
            _check_name,
        ),
    )
    state: str = setting("", Text("a folder"))  # nestling-<id> where the command runs
    interval_s: float = setting(1.0, _POSITIVE)


@dataclass(frozen=True, kw_only=True)
class CloudTable:
    """`[cloud]`: who answers what this device does not."""

    address: str = setting("", _ADDRESS)  # as this device enrolled
    broker: str = setting("", _ADDRESS)
    delivery: str = setting("grpc", Choice(("grpc", "mqtt")))


@dataclass(frozen=True, kw_only=True)
class BudgetTable:
    """`[budget]`: limits on one answer, and wishes for the mean one."""

    memory_kb: float = setting(10_000.0, _POSITIVE)
    latency_ms: float = setting(1000.0, _POSITIVE)
    energy_mj: float = setting(1000.0, _POSITIVE)
    offload_share: float = setting(0.2, Number(low=0, high=1))
    target_window: int = setting(0, Number(low=0, high=1_000_000, whole=True))
    tolerated_risk: float = setting(0.0, Number(low=0, high=1))
    energy_per_input_mj: float = setting(0.0, Number(low=0, high=1e9))
    latency_per_input_ms: float = setting(0.0, Number(low=0, high=1e9))


@dataclass(frozen=True, kw_only=True)
class BoardTable:
    """`[board]`: whose published powers energy is modelled from."""

    profile: str = setting("pi-4b", Choice(tuple(profile_names("boards"))))
    link: str = setting("wifi", Choice(tuple(profile_names("links"))))
    battery: str = setting("", Text("a name below /sys/class/power_supply, for example BAT0"))


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """`[source]`: where inputs come from."""

    kind: str = setting(
        "golden", Choice(("golden", "recording", "folder", "socket", "camera", "imu"))
    )
    path: str = setting("", Text("a path"))
    keep_answered: bool = setting(True, Flag())
    camera: str = setting("", Text("a camera's number or model, for example imx708"))
    i2c_bus: int = setting(1, _BUS)
    i2c_address: int = setting(0x68, _CHIP)
    rate_hz: float = setting(50.0, Number(low=1, high=500))

    @property
    def place(self) -> Path:
        """File, folder or socket; raises ConfigError where none is given."""
        if not self.path:
            raise ConfigError(f"a source of kind {self.kind} needs a place; give [source] path")
        return Path(self.path)


@dataclass(frozen=True, kw_only=True)
class MeterTable:
    """`[meter]`: how energy comes to be known."""

    kind: str = setting("profile", Choice(("profile", "pmic", "ina219", "ina260", "rapl")))
    i2c_bus: int = setting(1, _BUS)
    i2c_address: int = setting(0x40, _CHIP)
    shunt_ohm: float = setting(0.1, Number(low=0, high=10, above=True))


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that a device is told at its start."""

    device: DeviceTable = DeviceTable()
    cloud: CloudTable = CloudTable()
    budget: BudgetTable = BudgetTable()
    board: BoardTable = BoardTable()
    source: SourceTable = SourceTable()
    meter: MeterTable = MeterTable()


def kind_of(table: type, key: str) -> Kind:
    """What a key of a table may be."""
    (found,) = (field for field in dataclasses.fields(table) if field.name == key)
    kind: Kind = found.metadata["kind"]
    return kind


def read_config(path: Path) -> Config:
    """Read a configuration file.

    Raises:
        ConfigError: it cannot be read; or it has a key that there is none of, or a value that is
            not allowed: the message names file, table, key, what was found and what is allowed.
    """
    try:
        data = tomllib.loads(decode_text(path.read_bytes()))
    except OSError as err:
        raise ConfigError(
            f"{path} cannot be read: {err.strerror}; name another with --config"
        ) from err
    except EncodingError as err:
        raise ConfigError(f"{path}: {err}") from err
    except (ValueError, RecursionError) as err:  # not TOML, or nested too deep
        raise ConfigError(f"{path} is not TOML: {err}") from err
    try:
        return _read_tables(data)
    except NotAllowedError as err:
        raise ConfigError(f"{path}: {err}") from err


def with_values(config: Config, values: Mapping[tuple[str, str], object]) -> Config:
    """Put values over those of a configuration: {(table, key): value}."""
    for (table, key), value in values.items():
        changed = dataclasses.replace(getattr(config, table), **{key: value})
        config = dataclasses.replace(config, **{table: changed})
    return config


def _read_tables(data: Mapping[str, Any]) -> Config:
    tables: dict[str, Any] = {
        field.name: type(field.default) for field in dataclasses.fields(Config)
    }
    _refuse_unknown("table", data, tables)
    for name, values in data.items():
        if not isinstance(values, dict):
            raise NotAllowedError(f"[{name}]: found {values!r}; allowed: a table")
    read: dict[str, Any] = {name: _read_table(name, tables[name], data[name]) for name in data}
    return Config(**read)


def _read_table(name: str, table: type[_T], values: Mapping[str, object]) -> _T:
    fields = {field.name: field for field in dataclasses.fields(table)}  # type: ignore[arg-type]
    _refuse_unknown(f"[{name}]: key", values, fields)
    read = {}
    for key, value in values.items():
        try:
            read[key] = fields[key].metadata["kind"].check(value)
        except NotAllowedError as err:
            raise NotAllowedError(f"[{name}] {key}: found {value!r}; allowed: {err}") from None
    return table(**read)


def _refuse_unknown(noun: str, found: Mapping[str, object], known: Mapping[str, object]) -> None:
    for name in found:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ";"
            raise NotAllowedError(f"unknown {noun} {name!r}{hint} allowed: {', '.join(known)}")
