"""Defines the command-line options that override settings of device.toml."""

import argparse
from pathlib import Path

from nestling_core.command_line.path_flags import input_file
from nestling_core.media.pictures import PICTURE_SUFFIXES
from nestling_core.media.sounds import SOUND_SUFFIX
from nestling_core.network.address import Address, AddressError
from nestling_device.commands.setting_flags import PREFIX, add_setting
from nestling_device.commands.target_flags import add_targets
from nestling_device.config import schema
from nestling_device.config.fields import NotAllowedError
from nestling_device.config.schema import Config

# Ends of the names of files that may be replayed.
_RECORDINGS = (".npy", *PICTURE_SUFFIXES, SOUND_SUFFIX)
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
    add_setting(
        parser,
        "--cloud",
        "cloud",
        "address",
        metavar="HOST:PORT",
        text="cloud that answers offloads and, with gRPC delivery, serves bundles",
        default=_ENROLLED,
    )
    add_setting(
        parser,
        "--broker",
        "cloud",
        "broker",
        metavar="HOST:PORT",
        text="MQTT broker that takes telemetry and, with MQTT delivery, serves bundles",
        default=_ENROLLED,
    )
    add_setting(parser, "--delivery", "cloud", "delivery", text="protocol for fetching bundles")


def add_state(parser: argparse.ArgumentParser) -> None:
    """Add the options for the device's name and its state folder."""
    name = "the name that it enrolled with, otherwise device-1"
    add_setting(
        parser, "--id", "device", "id", metavar="ID", text="this device's name", default=name
    )
    add_state_folder(parser, "./nestling-<id>")


def add_state_folder(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the option for the device's state folder.

    Args:
        parser: the parser of the sub-command.
        default: the folder that the help text names as the default.
    """
    text = "folder for data that must survive a restart"
    add_setting(parser, "--state", "device", "state", metavar="DIR", text=text, default=default)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the options for the device's name, state folder, board, link and energy meter."""
    add_state(parser)
    add_setting(
        parser,
        "--profile",
        "board",
        "profile",
        text="board whose published power figures turn busy time into energy",
    )
    add_setting(
        parser,
        "--link",
        "board",
        "link",
        text="link whose published power figures turn bytes into energy",
    )
    add_setting(parser, "--meter", "meter", "kind", text="where energy figures come from")


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the options for the source of inputs and for the interval between inputs."""
    parser.add_argument(
        "--source",
        type=_source,
        metavar="SOURCE",
        help="where inputs come from: golden, FILE.npy (or a JPEG, PNG or WAV file), folder:DIR, "
        "socket:PATH, camera or imu "
        "(default: golden, the inputs that every bundle carries)",
    )
    add_setting(
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
    add_setting(
        group,
        "--latency-ms",
        "budget",
        "latency_ms",
        metavar="MS",
        text="maximum time that one answer may take, and the deadline of an offload",
    )
    add_setting(
        group,
        "--energy-mj",
        "budget",
        "energy_mj",
        metavar="MJ",
        text="maximum energy that one answer may take, compute and radio together",
    )
    add_targets(group)


def add_memory(parser: argparse._ActionsContainer) -> None:
    """Add the option for the memory budget."""
    text = "most memory that the resident capacity may hold, in kB of 1000 bytes"
    add_setting(parser, "--memory-kb", "budget", "memory_kb", metavar="KB", text=text)


def read(options: argparse.Namespace) -> Config:
    """Return the settings of the configuration file, overridden by the options of the command line.

    Raises:
        ConfigError: the file cannot be read, or has an unknown key or a value that is not allowed.
    """
    path = file_of(options)
    config = Config() if path is None else schema.read_config(path)
    given = {
        tuple(name.removeprefix(PREFIX).split(".")): value
        for name, value in vars(options).items()
        if name.startswith(PREFIX) and value is not None
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


def _source(text: str) -> dict[tuple[str, str], object]:
    """Return the settings that `KIND`, `KIND:PATH` or the path of a recording stands for.

    The settings are a mapping from the pair (table, key) to the value. Raise
    `argparse.ArgumentTypeError` if there is no such kind.
    """
    kind, _, path = text.partition(":")
    if text.lower().endswith(_RECORDINGS) and kind not in {"recording", "folder", "socket"}:
        kind, path = "recording", text
    kinds = schema.kind_of(schema.SourceTable, "kind")
    try:
        kinds.check(kind)
    except NotAllowedError as err:
        raise argparse.ArgumentTypeError(
            f"found {text!r}; allowed: FILE.npy, folder:DIR, socket:PATH, or one of {err}"
        ) from err
    return {("source", "kind"): kind, ("source", "path"): path}
