"""Defines the flag that names the cloud's state folder."""

import argparse
from collections.abc import Callable
from pathlib import Path

from nestling_core.command_line.path_flags import input_folder


def add_state(
    parser: argparse.ArgumentParser,
    folder: Callable[[str], Path] = input_folder,
    *,
    text: str = "the cloud's state folder",
) -> None:
    """Add the flag `--state`.

    Args:
        parser: the parser of the command.
        folder: the function that converts the flag's value to a path and checks the folder. By
            default, the folder may be missing but must be readable if it exists.
        text: the help text, without the default value.
    """
    parser.add_argument(
        "--state",
        type=folder,
        default="nestling-cloud",
        metavar="DIR",
        help=f"{text} (default: ./%(default)s)",
    )
