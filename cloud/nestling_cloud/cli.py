"""Runs the command `nestling-cloud`."""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence

from nestling_cloud.commands import (
    broker_config,
    bundle,
    capacities,
    console,
    data,
    device,
    federated,
    inputs,
    latency,
    serve,
    task,
)
from nestling_cloud.errors import CloudError
from nestling_core.command_line.parser import Parser, escape_unencodable

_COMMANDS = (
    serve,
    console,
    task,
    bundle,
    inputs,
    data,
    device,
    broker_config,
    federated,
    latency,
    capacities,
)
_FAILURE = 1
_INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit status.

    Args:
        arguments: the command-line arguments without the program's name; None for `sys.argv`.

    Returns:
        0 for success, 1 after an error (printed on standard error), and 130 after Ctrl-C.

    Raises:
        SystemExit: the arguments are wrong (status 2), or ask for help (status 0).
    """
    escape_unencodable()
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        options.run(options)
    except (CloudError, OSError) as err:
        print(f"nestling-cloud: {err}", file=sys.stderr)
        return _FAILURE
    except KeyboardInterrupt as stopped:  # its text, if any, says what happened to unfinished work
        print(f"nestling-cloud: {str(stopped) or 'stopped'}", file=sys.stderr)
        return _INTERRUPTED
    return 0


def parser() -> argparse.ArgumentParser:
    """Build the argument parser with every sub-command."""
    root = Parser(
        prog="nestling-cloud",
        description="Cloud side of Nestling: train and release bundles, serve them to devices, "
        "answer offloaded inputs, collect telemetry, manage the fleet.",
    )
    subparsers = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(subparsers)
    return root


if __name__ == "__main__":
    sys.exit(main())
