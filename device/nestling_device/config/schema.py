"""Defines the settings of a device, and reads them from device.toml.

Each table of the file is a dataclass. Each key is a field with its default and its allowed values.
The shipped file, deploy/raspberry-pi/device.toml, explains every key.
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
    """Raised when a configuration cannot be read, or has an unknown key or an invalid value."""


def _check_address(text: str) -> None:
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
    """The table `[device]`, with the device's name, its state folder and the pace of its inputs.

    Attributes:
        id: the name of the device, or "" for the name that it enrolled with (`device-1` if none).
        state: the folder for everything that has to survive a restart, or "" for `nestling-<id>` in
            the current folder.
        interval_s: the time between the starts of two inputs, in seconds, for sources without their
            own pace.
        stream_gap_s: the longest pause between two inputs, in seconds, after which the device still
            uses what it believed about the earlier input.
    """

    id: str = setting(
        "",  # the name that it enrolled with, otherwise device-1
        Text(
            "a device id of 1 to 64 letters, digits, dots, dashes and underscores, the first a "
            "letter or digit",
            _check_name,
        ),
    )
    state: str = setting("", Text("a folder"))  # nestling-<id> in the current folder
    interval_s: float = setting(1.0, _POSITIVE)
    stream_gap_s: float = setting(60.0, _POSITIVE)


@dataclass(frozen=True, kw_only=True)
class CloudTable:
    """The table `[cloud]`, with the addresses of cloud and broker and the delivery of bundles.

    Attributes:
        address: the address of the cloud for offloads and gRPC delivery, HOST:PORT, or "" for the
            one that the device enrolled with.
        broker: the address of the MQTT broker, HOST:PORT, or "" for the one that the device
            enrolled with.
        delivery: the protocol for fetching bundles.
    """

    address: str = setting("", _ADDRESS)  # the one that it enrolled with
    broker: str = setting("", _ADDRESS)  # the one that it enrolled with
    delivery: str = setting("grpc", Choice(("grpc", "mqtt")))


@dataclass(frozen=True, kw_only=True)
class BudgetTable:
    """The table `[budget]`, with the limits on each answer and a target for the average input.

    Of several targets, a tolerated risk comes first, then energy, latency, and the offload share.

    Attributes:
        memory_kb: the most memory that the loaded capacities may occupy, in kB of 1000 bytes.
        latency_ms: the most time that one answer may take, in ms, which is also the deadline of an
            offload.
        energy_mj: the most energy that one answer may take, compute and radio together, in mJ.
        offload_share: the target for the share of inputs that are sent to the cloud, 0 to 1.
        target_window: the number of inputs over which the average is kept at the target; 0 uses a
            fixed threshold.
        tolerated_risk: the share of the answers kept by choice that the cloud may change, 0 to 1;
            0 is off.
        energy_per_input_mj: the target for the average energy of an input, in mJ; 0 is off.
        latency_per_input_ms: the target for the average latency of an input, in ms; 0 is off.
        audit_share: the share of the answers kept by choice that are sent to the cloud too, 0 to 1.
        defer: whether hard inputs wait for the cloud if it is not an option or fails.
    """

    memory_kb: float = setting(10_000.0, _POSITIVE)
    latency_ms: float = setting(1000.0, _POSITIVE)
    energy_mj: float = setting(1000.0, _POSITIVE)
    offload_share: float = setting(0.2, Number(low=0, high=1))
    target_window: int = setting(500, Number(low=0, high=1_000_000, whole=True))
    tolerated_risk: float = setting(0.0, Number(low=0, high=1))
    energy_per_input_mj: float = setting(0.0, Number(low=0, high=1e9))
    latency_per_input_ms: float = setting(0.0, Number(low=0, high=1e9))
    audit_share: float = setting(0.01, Number(low=0, high=1))
    defer: bool = setting(False, Flag())


@dataclass(frozen=True, kw_only=True)
class BoardTable:
    """The table `[board]`, with the board, the link and the battery of this device.

    Attributes:
        profile: the board whose published figures are used to model the energy of computing.
        link: the link whose published figures are used to model the energy of transfers.
        battery: the name of the battery below /sys/class/power_supply, or "" for all batteries of
            the machine.
    """

    profile: str = setting("pi-4b", Choice(tuple(profile_names("boards"))))
    link: str = setting("wifi", Choice(tuple(profile_names("links"))))
    battery: str = setting("", Text("a name below /sys/class/power_supply, for example BAT0"))


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """The table `[source]`, with the source of inputs.

    Attributes:
        kind: the kind of source.
        path: the path of the recording, folder or socket.
        keep_answered: whether to move answered files to a subfolder instead of deleting them.
        camera: the number or model of the camera, or "" if there is only one.
        i2c_bus: the number of the I2C bus of the inertial sensor (IMU).
        i2c_address: the I2C address of the IMU.
        rate_hz: the number of samples per second of the IMU.
    """

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
        """The path of the recording, folder or socket.

        Raises:
            ConfigError: the path is empty.
        """
        if not self.path:
            raise ConfigError(
                f"a source of kind {self.kind} needs a path", advice="give [source] path"
            )
        return Path(self.path)


@dataclass(frozen=True, kw_only=True)
class MeterTable:
    """The table `[meter]`, with the source of energy figures.

    Attributes:
        kind: the instrument that measures the power, or "profile" to model the energy from the
            board's power table.
        i2c_bus: the number of the power monitor's I2C bus.
        i2c_address: the I2C address of the power monitor.
        shunt_ohm: the resistance of the INA219's shunt in ohms.
    """

    kind: str = setting("profile", Choice(("profile", "pmic", "ina219", "ina260", "rapl")))
    i2c_bus: int = setting(1, _BUS)
    i2c_address: int = setting(0x40, _CHIP)
    shunt_ohm: float = setting(0.1, Number(low=0, high=10, above=True))


@dataclass(frozen=True, kw_only=True)
class Config:
    """A device's whole configuration.

    Attributes:
        device: the table `[device]`.
        cloud: the table `[cloud]`.
        budget: the table `[budget]`.
        board: the table `[board]`.
        source: the table `[source]`.
        meter: the table `[meter]`.
    """

    device: DeviceTable = DeviceTable()
    cloud: CloudTable = CloudTable()
    budget: BudgetTable = BudgetTable()
    board: BoardTable = BoardTable()
    source: SourceTable = SourceTable()
    meter: MeterTable = MeterTable()


def kind_of(table: type, key: str) -> Kind:
    """Return the kind of a setting, which describes the values that the setting may have.

    Args:
        table: the dataclass of the setting's table.
        key: the setting's name.
    """
    (setting_field,) = (field for field in dataclasses.fields(table) if field.name == key)
    kind: Kind = setting_field.metadata["kind"]
    return kind


def read_config(path: Path) -> Config:
    """Read a configuration file.

    Settings that the file lacks have their defaults.

    Raises:
        ConfigError: the file cannot be read, or it has an unknown key or a value that is not
            allowed. For such a key or value, the message says where it is and what is allowed.
    """
    try:
        data = tomllib.loads(decode_text(path.read_bytes()))
    except OSError as err:
        raise ConfigError(
            f"{path} cannot be read: {err.strerror}", advice="name another with --config"
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
    """Return a configuration with some of its values replaced.

    Args:
        config: the configuration to start from.
        values: a mapping from the pair (table, key) to the new value, which must be valid.
    """
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
