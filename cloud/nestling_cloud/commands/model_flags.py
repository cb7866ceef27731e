"""Defines the flags that name a task, its data and the repository."""

import argparse
from collections.abc import Callable
from pathlib import Path

from nestling_core.command_line.path_flags import input_folder


def add_task(parser: argparse.ArgumentParser) -> None:
    """Add the required flag `--task`."""
    parser.add_argument(
        "--task",
        required=True,
        metavar="NAME|FILE.toml|FILE.py:NAME",
        help="a built-in task, a task file, or the task NAME in your Python file",
    )


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Add the flag `--data-dir`."""
    parser.add_argument(
        "--data-dir", type=input_folder, metavar="DIR", help="folder with the task's data files"
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add the flags `--quick` and `--cpu` of a command that trains a bundle."""
    parser.add_argument(
        "--quick",
        action="store_true",
        help="train on a sample for a few epochs, to try everything from data to report in a "
        "minute or two; the bundle is marked as quick",
    )
    add_cpu(parser)


def add_cpu(parser: argparse.ArgumentParser) -> None:
    """Add the flag `--cpu` of a command that trains."""
    parser.add_argument(
        "--cpu",
        action="store_true",
        help="train on the processor even if torch finds a graphics processor",
    )


def add_from(parser: argparse.ArgumentParser) -> None:
    """Add the flag `--from`, which may be given several times; its folders are `folders`."""
    parser.add_argument(
        "--from",
        dest="folders",
        type=input_folder,
        action="append",
        default=[],
        metavar="DIR",
        help="also train on the labeled inputs of this folder, which `nestling-cloud inputs "
        "export` wrote; may be repeated",
    )


def add_repository(
    parser: argparse.ArgumentParser, folder: Callable[[str], Path] = input_folder
) -> None:
    """Add the required flag `--repository`.

    Args:
        parser: the parser of the command.
        folder: the function that converts the flag's value to a path and checks the folder. By
            default, the folder may be missing but must be readable if it exists.
    """
    parser.add_argument(
        "--repository",
        type=folder,
        required=True,
        metavar="DIR",
        help="repository folder, which holds the released bundles",
    )
