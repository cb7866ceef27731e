"""Defines the flag that names the repository."""

import argparse

from nestling_core.command_line.path_flags import input_folder


def add_repository(parser: argparse.ArgumentParser) -> None:
    """Add the required flag `--repository`."""
    parser.add_argument(
        "--repository",
        type=input_folder,
        required=True,
        metavar="DIR",
        help="repository folder, which holds the released bundles",
    )
