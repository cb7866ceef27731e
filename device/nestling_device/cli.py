"""Runs the command `nestling-device`."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence

from nestling_core.command_line.parser import Parser, escape_unencodable
from nestling_device.commands import doctor, enrol, federated, profile, run, status
from nestling_device.errors import DeviceError

_COMMANDS = (run, enrol, status, doctor, profile, federated)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command of `nestling-device`, and return its exit status.

    Args:
        arguments: the command line without the program's name (default: that of this process).

    Returns:
        The exit status. If the usage is wrong, argparse exits with status 2 instead.

        - 0: the command succeeded or was ended by Ctrl-C. `run` may also be ended by SIGTERM.
        - 1: there was an error, which is reported on standard error, or a check of `doctor`
          failed.
        - 3: `status` found that the device is not running.
        - 141: the reader of standard output, such as `head`, closed it. A process that SIGPIPE ends
          has the same status.
    """
    escape_unencodable()
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()  # here, where a failure can still be caught
    except BrokenPipeError:
        # Otherwise the interpreter fails to flush the rest when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    level = logging.INFO if getattr(options, "verbose", False) else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(message)s")
    try:
        status: int = options.run(options)
    except DeviceError as err:
        print(f"nestling-device: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the first answer
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="nestling-device",
        description="Answer inputs on this device, and send the hard ones to the cloud.",
    )
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
