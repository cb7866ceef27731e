"""Defines the command-line options that override settings of device.toml."""

import argparse
from collections.abc import Callable
from pathlib import Path

from nestling_core.command_line.path_flags import input_file
from nestling_core.network.address import Address, AddressError
from nestling_device.config import schema
from nestling_device.config.fields import Choice, NotAllowedError
from nestling_device.config.schema import Config

_PREFIX = "setting."
_ENROLLED = "the address that this device enrolled with"


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the option for the configuration file."""
    parser.add_argument(
        "--config",
        type=input_file,
        metavar="FILE",
        help="configuration file; other flags override its settings "
        f"(default: {schema.SYSTEM_FILE}, if it exists)",
    )


def add_cloud(parser: argparse.ArgumentParser) -> None:
    """Add the options for the addresses of cloud and broker, and for the delivery of bundles."""
    _add(
        parser,
        "--cloud",
        "cloud",
        "address",
        metavar="HOST:PORT",
        text="cloud that answers offloads and, with gRPC delivery, serves bundles",
        default=_ENROLLED,
    )
    _add(
        parser,
        "--broker",
        "cloud",
        "broker",
        metavar="HOST:PORT",
        text="MQTT broker that takes telemetry and, with MQTT delivery, serves bundles",
        default=_ENROLLED,
    )
    _add(parser, "--delivery", "cloud", "delivery", text="protocol for fetching bundles")


def add_state(parser: argparse.ArgumentParser) -> None:
    """Add the options for the device's name and its state folder."""
    name = "the name that it enrolled with, otherwise device-1"
    _add(parser, "--id", "device", "id", metavar="ID", text="this device's name", default=name)
    add_state_folder(parser, "./nestling-<id>")


def add_state_folder(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the option for the device's state folder.

    Args:
        parser: the parser of the sub-command.
        default: the folder that the help text names as the default.
    """
    text = "folder for data that must survive a restart"
    _add(parser, "--state", "device", "state", metavar="DIR", text=text, default=default)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the options for the device's name, state folder, board, link and energy meter."""
    add_state(parser)
    _add(
        parser,
        "--profile",
        "board",
        "profile",
        text="board whose published power figures turn busy time into energy",
    )
    _add(
        parser,
        "--link",
        "board",
        "link",
        text="link whose published power figures turn bytes into energy",
    )
    _add(parser, "--meter", "meter", "kind", text="where energy figures come from")


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the options for the source of inputs and for the interval between inputs."""
    parser.add_argument(
        "--source",
        type=_source,
        metavar="SOURCE",
        help="where inputs come from: golden, FILE.npy, folder:DIR, socket:PATH, camera or imu "
        "(default: golden, the inputs that every bundle carries)",
    )
    _add(
        parser,
        "--interval",
        "device",
        "interval_s",
        metavar="S",
        text="seconds between the starts of two inputs, for golden, FILE.npy and camera",
    )


def add_budget(parser: argparse.ArgumentParser) -> None:
    """Add the options for the limits on each answer, and for the targets for the average answer."""
    group = parser.add_argument_group(
        "budget", "limits on each answer, and a target for the average over many"
    )
    add_memory(group)
    _add(
        group,
        "--latency-ms",
        "budget",
        "latency_ms",
        metavar="MS",
        text="maximum time that one answer may take, and the deadline of an offload",
    )
    _add(
        group,
        "--energy-mj",
        "budget",
        "energy_mj",
        metavar="MJ",
        text="maximum energy that one answer may take, compute and radio together",
    )
    _add_targets(group)


def _add_targets(group: argparse._ActionsContainer) -> None:
    _add(
        group,
        "--offload-share",
        "budget",
        "offload_share",
        metavar="SHARE",
        text="target share of inputs sent to the cloud, 0 to 1",
    )
    _add(
        group,
        "--target-window",
        "budget",
        "target_window",
        metavar="INPUTS",
        text="keep the average at the target over this many inputs; 0 uses a fixed "
        "threshold, so that the actual share rises with hard inputs and falls with easy ones",
    )
    _add(
        group,
        "--tolerated-risk",
        "budget",
        "tolerated_risk",
        metavar="RISK",
        text="instead of a share: how often this device's own answers may differ from "
        "the cloud's, 0 to 1; 0 is off",
    )
    _add(
        group,
        "--energy-per-input-mj",
        "budget",
        "energy_per_input_mj",
        metavar="MJ",
        text="instead of a share: target average energy of an input; 0 is off",
    )
    _add(
        group,
        "--latency-per-input-ms",
        "budget",
        "latency_per_input_ms",
        metavar="MS",
        text="instead of a share: target average latency of an input; 0 is off",
    )


def add_memory(parser: argparse._ActionsContainer) -> None:
    """Add the option for the memory budget."""
    text = "most memory that the resident capacity may hold, in kB of 1000 bytes"
    _add(parser, "--memory-kb", "budget", "memory_kb", metavar="KB", text=text)


def read(options: argparse.Namespace) -> Config:
    """Return the settings of the configuration file, overridden by the options of the command line.

    Raises:
        ConfigError: the file cannot be read, or has an unknown key or a value that is not allowed.
    """
    path = file_of(options)
    config = Config() if path is None else schema.read_config(path)
    given = {
        tuple(name.removeprefix(_PREFIX).split(".")): value
        for name, value in vars(options).items()
        if name.startswith(_PREFIX) and value is not None
    }
    source: dict[tuple[str, str], object] = getattr(options, "source", None) or {}
    return schema.with_values(
        config, {(table, key): v for (table, key), v in given.items()} | source
    )


def file_of(options: argparse.Namespace) -> Path | None:
    """Return the path of the configuration file, or None if only options and defaults apply."""
    named: Path | None = options.config
    if named is None and schema.SYSTEM_FILE.exists():
        return schema.SYSTEM_FILE
    return named


def address(text: str) -> Address:
    """Parse an address that is given as HOST:PORT.

    Raises:
        argparse.ArgumentTypeError: the text is not HOST:PORT.
    """
    try:
        return Address.parse(text)
    except AddressError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


def _add(
    parser: argparse._ActionsContainer,
    flag: str,
    table: str,
    key: str,
    *,
    text: str,
    metavar: str | None = None,
    default: str | None = None,
) -> None:
    """Add an option that overrides one setting of device.toml.

    Args:
        parser: the parser or group to add the option to.
        flag: the name of the option, such as `--id`.
        table: the table of the setting.
        key: the key of the setting in its table.
        text: the help text.
        metavar: the placeholder for the value in the help text, or None to list the choices.
        default: the default that the help text names, or None for that of the setting. The option
            itself has no default value: without the option, the file decides.
    """
    settings = getattr(Config(), table)
    kind = schema.kind_of(type(settings), key)
    if isinstance(kind, Choice) and metavar is None:
        metavar = "{" + ",".join(kind.names) + "}"
    if default is None:
        value = getattr(settings, key)
        default = f"{value:g}" if isinstance(value, float) else str(value)
    parser.add_argument(
        flag,
        dest=f"{_PREFIX}{table}.{key}",
        type=_typed(kind.parse),
        metavar=metavar,
        help=f"{text} (default: {default})",
    )


def _typed(parse: Callable[[str], object]) -> Callable[[str], object]:
    def read_text(text: str) -> object:
        try:
            return parse(text)
        except NotAllowedError as err:
            raise argparse.ArgumentTypeError(f"found {text!r}; allowed: {err}") from err

    return read_text


def _source(text: str) -> dict[tuple[str, str], object]:
    """Return the settings that `KIND`, `KIND:PATH` or `FILE.npy` stands for.

    The settings are a mapping from the pair (table, key) to the value. Raise
    `argparse.ArgumentTypeError` if there is no such kind.
    """
    kind, _, path = text.partition(":")
    if text.endswith(".npy") and kind not in {"recording", "folder", "socket"}:
        kind, path = "recording", text
    kinds = schema.kind_of(schema.SourceTable, "kind")
    try:
        kinds.check(kind)
    except NotAllowedError as err:
        raise argparse.ArgumentTypeError(
            f"found {text!r}; allowed: FILE.npy, folder:DIR, socket:PATH, or one of {err}"
        ) from err
    return {("source", "kind"): kind, ("source", "path"): path}
