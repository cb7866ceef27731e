"""The command `nestling-sim`."""

import argparse
import json
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import get_args

from rich.console import Console

from nestling_cloud.bundles.cache import keep_torch_cache
from nestling_cloud.errors import CloudError
from nestling_cloud.mqtt.broker_process import BrokerKind
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.service.config import Addresses
from nestling_core.command_line.parser import Parser, escape_unencodable
from nestling_core.command_line.path_flags import input_folder, output_folder
from nestling_device.errors import DeviceError
from nestling_sim.errors import SimError
from nestling_sim.report import summary_table
from nestling_sim.run.run import Listener, Result, RunConfig, run
from nestling_sim.scenario.scenario import built_in_scenarios, load_scenario

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_EXAMPLES = """\
examples:
  nestling-sim run
      the default scenario: nine smart watches, a cloud, a broker, an outage
  nestling-sim run --keep-serving
      the same, then look around in the console while the devices go on
  nestling-sim run --seed 1 --retrain
      other subjects, other weights, nothing taken from the cache
  nestling-sim run --task docs/examples/digits.py:TASK
      a task of your own
  nestling-sim run --scenario federated
      a fleet that learns from its own streams and takes up what it learned
  nestling-sim run --scenario my-fleet.toml --json
      devices and conditions of your own; summary.json's content on standard output
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0; 1 after an error told on standard error; 130 or 143 after SIGINT or SIGTERM.
    """
    escape_unencodable()
    options = _parser().parse_args(arguments)
    level = logging.INFO if options.verbose else logging.ERROR
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    keep_torch_cache()
    try:
        with _unwinding():
            _run(options)
    except (CloudError, DeviceError, SimError) as err:
        print(f"nestling-sim: {err}", file=sys.stderr)
        return 1
    except _StopSignal as signalled:
        print("nestling-sim: stopped; nothing is left running", file=sys.stderr)
        return 128 + signalled.number
    return 0


class _StopSignal(BaseException):
    """SIGINT or SIGTERM; no handler of ordinary errors catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _unwinding() -> Iterator[None]:
    """Let a signal unwind the stack, so that every device, process and folder is cleaned up."""
    before = {number: signal.signal(number, _unwind) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _unwind(number: int, _frame: FrameType | None) -> None:
    for one in _SIGNALS:  # a second Ctrl-C must not cut the cleaning short
        signal.signal(one, signal.SIG_IGN)
    raise _StopSignal(number)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(
        prog="nestling-sim",
        description="Runs a fleet of simulated devices against a real cloud and a real broker.",
        epilog=_EXAMPLES,
        formatter_class=raw,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "run",
        help="train, ship, run a fleet, write the report",
        epilog=_EXAMPLES,
        formatter_class=raw,
    )
    add = command.add_argument
    names = ", ".join(built_in_scenarios())
    add("--scenario", default="wearable", help=f"a name ({names}) or a .toml file")
    add("--task", metavar="NAME|FILE.py:NAME", help="instead of the scenario's task")
    add("--seed", type=_seed, help="instead of the scenario's seed")
    add("--data-dir", type=input_folder, metavar="DIR", help="folder with the task's data files")
    add("--retrain", action="store_true", help="train even if the cache has the bundle")
    add("--out", type=output_folder, default="runs", metavar="DIR", help="default: %(default)s")
    add(
        "--broker-kind",
        choices=get_args(BrokerKind),
        default="auto",
        help="default: Mosquitto if installed, otherwise iotcore",
    )
    add("--console", action="store_true", help="serve the console over the running simulation")
    add(
        "--keep-serving",
        action="store_true",
        help="after the report let cloud, console and devices go on until Ctrl-C",
    )
    add("--json", action="store_true", help="print summary.json's content instead of a table")
    add("--verbose", action="store_true", help="say more on standard error")
    command.set_defaults(told=False)
    return parser


def _run(options: argparse.Namespace) -> None:
    scenario = load_scenario(options.scenario)
    changes = {"task": options.task, "seed": options.seed}
    scenario = scenario.model_copy(
        update={key: value for key, value in changes.items() if value is not None}
    )
    config = RunConfig(
        scenario=scenario,
        data_dir=options.data_dir,
        retrain=options.retrain,
        out=options.out,
        broker_kind=options.broker_kind,
        console=options.console,
        keep_serving=options.keep_serving,
    )
    listener = Listener(
        serving=_tell_console, finished=partial(_tell_result, options), said=_tell_aside
    )
    try:
        run(config, ConsoleProgress(Console(stderr=True)), listener)
    except _StopSignal:
        if not options.told:
            raise
        print("nestling-sim: stopped serving; nothing is left running", file=sys.stderr)


def _tell_result(options: argparse.Namespace, result: Result) -> None:
    if options.json:
        print(json.dumps(result.summary), flush=True)
    else:
        Console().print(summary_table(result.summary))
        print(f"report: {result.folder / 'report.html'}", flush=True)
    options.told = True
    if options.keep_serving:
        print(
            "the cloud, its console and the devices go on; Ctrl-C ends all of it",
            file=sys.stderr,
            flush=True,
        )


def _tell_aside(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _tell_console(addresses: Addresses) -> None:
    if addresses.console is not None:
        print(
            f"console: {addresses.console} (password: {addresses.console_password})",
            file=sys.stderr,
            flush=True,
        )


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed: a whole number from 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
