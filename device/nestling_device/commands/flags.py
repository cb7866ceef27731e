"""The flags that stand for settings of the configuration; a flag goes before the file."""

import argparse
from collections.abc import Callable
from pathlib import Path

from nestling_core.command_line.path_flags import input_file
from nestling_core.network.address import Address, AddressError
from nestling_device.config import schema
from nestling_device.config.fields import Choice, NotAllowedError
from nestling_device.config.schema import Config

_PREFIX = "setting."
_NAME = "this device's name (default: as it enrolled, otherwise device-1)"


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add `--config`."""
    parser.add_argument(
        "--config",
        type=input_file,
        metavar="FILE",
        help=f"settings (default: {schema.SYSTEM_FILE}, where there is one)",
    )


def add_cloud(parser: argparse.ArgumentParser) -> None:
    """Add where the cloud is."""
    enrolled = "(default: as this device enrolled)"
    _add(parser, "--cloud", "cloud", "address", metavar="HOST:PORT", text=enrolled)
    _add(parser, "--broker", "cloud", "broker", metavar="HOST:PORT", text=enrolled)
    _add(parser, "--delivery", "cloud", "delivery", text="how bundles come")


def add_state(parser: argparse.ArgumentParser) -> None:
    """Add who the device is, and where its state lies."""
    _add(parser, "--id", "device", "id", metavar="ID", text=_NAME)
    add_state_folder(parser, "./nestling-<id>")


def add_state_folder(parser: argparse.ArgumentParser, default: str) -> None:
    """Add where the device's state lies."""
    text = f"state folder (default: {default})"
    _add(parser, "--state", "device", "state", metavar="DIR", text=text)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add what a device is like."""
    add_state(parser)
    _add(parser, "--profile", "board", "profile", text="the board's powers")
    _add(parser, "--link", "board", "link", text="the link's powers")
    _add(parser, "--meter", "meter", "kind", text="where energy figures come from")


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add where inputs come from, and how often."""
    parser.add_argument(
        "--source",
        type=_source,
        metavar="SOURCE",
        help="golden, FILE.npy, folder:DIR, socket:PATH, camera or imu (default: golden inputs)",
    )
    _add(
        parser,
        "--interval",
        "device",
        "interval_s",
        metavar="S",
        text="seconds between inputs that do not come by themselves",
    )


def add_budget(parser: argparse.ArgumentParser) -> None:
    """Add the limits of one answer."""
    group = parser.add_argument_group(
        "budget", "limits of one answer (what runs and what is sent), and a target for the mean one"
    )
    add_memory(group)
    _add(group, "--latency-ms", "budget", "latency_ms", metavar="LATENCY_MS", text="time")
    _add(group, "--energy-mj", "budget", "energy_mj", metavar="ENERGY_MJ", text="energy")
    _add(
        group,
        "--offload-share",
        "budget",
        "offload_share",
        metavar="OFFLOAD_SHARE",
        text="target share for the cloud, 0 to 1",
    )
    _add(
        group,
        "--target-window",
        "budget",
        "target_window",
        metavar="INPUTS",
        text="keep the target over so many inputs, whatever they are like (default: no more "
        "than a target)",
    )
    _add(
        group,
        "--tolerated-risk",
        "budget",
        "tolerated_risk",
        metavar="RISK",
        text="instead of a share: how often this device's own answers may differ from the cloud's",
    )
    _add(
        group,
        "--energy-per-input-mj",
        "budget",
        "energy_per_input_mj",
        metavar="MJ",
        text="instead of a share: energy that the mean input may take",
    )
    _add(
        group,
        "--latency-per-input-ms",
        "budget",
        "latency_per_input_ms",
        metavar="MS",
        text="instead of a share: time that the mean input may take",
    )


def add_memory(parser: argparse._ActionsContainer) -> None:
    """Add what a resident capacity may hold."""
    _add(parser, "--memory-kb", "budget", "memory_kb", metavar="MEMORY_KB", text="for the student")


def read(options: argparse.Namespace) -> Config:
    """Read the configuration that a command line names, with its flags on top.

    Raises:
        ConfigError: the file cannot be read, or says what is not allowed.
    """
    path = file_of(options)
    found = Config() if path is None else schema.read_config(path)
    given = {
        tuple(name.removeprefix(_PREFIX).split(".")): value
        for name, value in vars(options).items()
        if name.startswith(_PREFIX) and value is not None
    }
    source: dict[tuple[str, str], object] = getattr(options, "source", None) or {}
    return schema.with_values(
        found, {(table, key): v for (table, key), v in given.items()} | source
    )


def file_of(options: argparse.Namespace) -> Path | None:
    """Path of the configuration file, None where only flags and defaults count."""
    named: Path | None = options.config
    if named is None and schema.SYSTEM_FILE.exists():
        return schema.SYSTEM_FILE
    return named


def address(text: str) -> Address:
    """Read HOST:PORT, for a flag that is no setting."""
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
    metavar: str | None = None,
    text: str | None = None,
) -> None:
    kind = schema.kind_of(type(getattr(Config(), table)), key)
    if isinstance(kind, Choice) and metavar is None:
        metavar = "{" + ",".join(kind.names) + "}"
    parser.add_argument(
        flag, dest=f"{_PREFIX}{table}.{key}", type=_typed(kind.parse), metavar=metavar, help=text
    )


def _typed(parse: Callable[[str], object]) -> Callable[[str], object]:
    def read_text(text: str) -> object:
        try:
            return parse(text)
        except NotAllowedError as err:
            raise argparse.ArgumentTypeError(f"found {text!r}; allowed: {err}") from err

    return read_text


def _source(text: str) -> dict[tuple[str, str], object]:
    """Read `KIND`, `KIND:PATH` or `FILE.npy`."""
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
