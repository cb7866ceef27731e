"""The command `nestling-cloud`."""

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
    device,
    federated,
    latency,
    serve,
)
from nestling_cloud.errors import CloudError
from nestling_core.command_line.parser import Parser, escape_unencodable

_COMMANDS = (serve, console, bundle, device, broker_config, federated, latency, capacities)
_FAILURE = 1
_INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Returns:
        Exit status: 0, or 1 after an error told on standard error (2 for wrong usage), 130
        after Ctrl-C.
    """
    escape_unencodable()
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        options.run(options)
    except (CloudError, OSError) as err:
        print(f"nestling-cloud: {err}", file=sys.stderr)
        return _FAILURE
    except KeyboardInterrupt as stopped:  # it says what has become of the work, if there is more
        print(f"nestling-cloud: {str(stopped) or 'stopped'}", file=sys.stderr)
        return _INTERRUPTED
    return 0


def parser() -> argparse.ArgumentParser:
    """Make the parser of every sub-command."""
    made = Parser(
        prog="nestling-cloud",
        description="The cloud side of Nestling: releases, inference, telemetry, devices.",
    )
    subparsers = made.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(subparsers)
    return made


if __name__ == "__main__":
    sys.exit(main())
