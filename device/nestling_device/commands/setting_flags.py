"""Adds a command-line option that overrides one setting of device.toml."""

import argparse
from collections.abc import Callable

from nestling_device.config import schema
from nestling_device.config.fields import Choice, NotAllowedError
from nestling_device.config.schema import Config

PREFIX = "setting."
"""The beginning of the name under which argparse keeps the value of such an option."""


def add_setting(
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
        dest=f"{PREFIX}{table}.{key}",
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
