"""Implements the `nestling-sim` command."""

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
from nestling_cloud.commands.folder_flags import (
    add_folder,
    add_wishes,
    folder_of,
    wishes_given,
    wishes_of,
)
from nestling_cloud.commands.model_flags import add_training
from nestling_cloud.datasets.findings import problems
from nestling_cloud.errors import CloudError
from nestling_cloud.learning.torch_device import use_cpu
from nestling_cloud.mqtt.broker_process import BrokerKind
from nestling_cloud.progress import ConsoleProgress, Progress
from nestling_cloud.service.config import Addresses
from nestling_cloud.tasks.new_task import new_task, save
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
      run the default scenario: nine smart watches, a cloud, a broker and an outage
  nestling-sim run --keep-serving
      keep the devices running after the report, and watch them in the console
  nestling-sim run --seed 1 --retrain
      train again with another seed, which changes subjects and weights
  nestling-sim run --task docs/examples/digits.py:TASK
      run a task of your own
  nestling-sim run --pictures photos
      make a task of a folder of pictures, a folder for each class, and run it
  nestling-sim run --scenario federated
      run a fleet that learns from its own streams and installs the result
  nestling-sim run --scenario my-fleet.toml --json
      run your own devices and conditions, and print summary.json
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sub-command that the arguments name.

    Args:
        arguments: the arguments after the program's name, or None for those of this process.

    Returns:
        The exit code: 0 after success, 1 after an error, and 130 or 143 if SIGINT or SIGTERM
        stopped the run before its result was printed. The text of an error is printed on standard
        error.

    Raises:
        SystemExit: the arguments are wrong (code 2) or ask for help (code 0).
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
    """Raised when SIGINT or SIGTERM is received.

    It is not an `Exception`, so that `except Exception` does not catch it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _unwinding() -> Iterator[None]:
    """Raise `_StopSignal` in the block when SIGINT or SIGTERM is received.

    The exception unwinds the stack, so that devices and processes are stopped and temporary folders
    are removed. Further signals are ignored until the block has ended.
    """
    before = {number: signal.signal(number, _unwind) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _unwind(number: int, _frame: FrameType | None) -> None:
    for one in _SIGNALS:  # a second Ctrl-C must not interrupt the clean-up
        signal.signal(one, signal.SIG_IGN)
    raise _StopSignal(number)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="nestling-sim",
        description="Run a fleet of simulated devices with a real cloud and a real MQTT broker.",
        epilog=_EXAMPLES,
    )
    _add_run(parser.add_subparsers(required=True, metavar="COMMAND"))
    return parser


def _add_run(commands: "argparse._SubParsersAction[Parser]") -> None:
    command = commands.add_parser(
        "run",
        help="train a bundle, run a fleet with it, and write a report",
        description="Train a bundle or take it from the cache, run a fleet of simulated devices "
        "with a real cloud and a real MQTT broker, and write a report.",
        epilog=_EXAMPLES,
    )
    add = command.add_argument
    names = ", ".join(built_in_scenarios())
    add(
        "--scenario",
        default="wearable",
        metavar="NAME|FILE.toml",
        help=f"built-in scenario ({names}) or a file (default: %(default)s)",
    )
    _add_training(command)
    add_folder(command, required=False)
    add_wishes(command.add_argument_group("what to make of the folder"))
    add(
        "--out",
        type=output_folder,
        default="runs",
        metavar="DIR",
        help="folder for results; each run makes its own folder in it (default: %(default)s)",
    )
    add(
        "--broker-kind",
        choices=get_args(BrokerKind),
        default="auto",
        help="MQTT broker to start; auto is Mosquitto if installed, otherwise iotcore "
        "(default: %(default)s)",
    )
    add("--console", action="store_true", help="serve the web console while the simulation runs")
    add(
        "--keep-serving",
        action="store_true",
        help="keep cloud, console and devices running after the report, until Ctrl-C",
    )
    add("--json", action="store_true", help="print summary.json instead of a table")
    add("--verbose", action="store_true", help="log more on standard error")
    command.set_defaults(finished=False)


def _add_training(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--task",
        metavar="NAME|FILE.toml|FILE.py:NAME",
        help="task to train and run (default: the scenario's)",
    )
    add("--seed", type=_seed, metavar="N", help="random seed, from 0 (default: the scenario's)")
    add(
        "--data-dir",
        type=input_folder,
        metavar="DIR",
        help="folder with the task's data files (default: the places that the task searches)",
    )
    add(
        "--from",
        dest="folders",
        type=input_folder,
        action="append",
        default=[],
        metavar="DIR",
        help="also train on the labeled inputs of this folder, which `nestling-cloud inputs "
        "export` wrote; may be repeated",
    )
    add("--retrain", action="store_true", help="train even if the cache has the bundle")
    add_training(command)


def _run(options: argparse.Namespace) -> None:
    if options.cpu:
        use_cpu()
    scenario = load_scenario(options.scenario)
    progress = ConsoleProgress(Console(stderr=True))
    changes = {"task": _task(options, scenario.seed, progress), "seed": options.seed}
    scenario = scenario.model_copy(
        update={key: value for key, value in changes.items() if value is not None}
    )
    config = RunConfig(
        scenario=scenario,
        data_dir=options.data_dir,
        folders=tuple(options.folders),
        retrain=options.retrain,
        quick=options.quick,
        out=options.out,
        broker_kind=options.broker_kind,
        console=options.console,
        keep_serving=options.keep_serving,
    )
    listener = Listener(
        serving=_print_console, finished=partial(_print_result, options), notice=_print_notice
    )
    try:
        run(config, progress, listener)
    except _StopSignal:
        if not options.finished:
            raise
        print("nestling-sim: stopped serving; nothing is left running", file=sys.stderr)


def _task(options: argparse.Namespace, seed: int, progress: Progress) -> str | None:
    """Return the task that the flags name, after writing a task file if they name a folder."""
    found, unused = folder_of(options), wishes_given(options)
    if found is None and unused:
        raise SimError(f"{', '.join(unused)}: name a folder with --pictures, --sounds or --windows")
    if found is None:
        task: str | None = options.task
        return task
    if options.task is not None:
        raise SimError("--task and a folder: give one of them")
    wishes = wishes_of(options, seed if options.seed is None else options.seed)
    made = new_task(*found, wishes, progress)
    path = options.out / f"{made.name}.toml"
    save(made, path)
    for problem in problems(made.survey):
        _print_notice(f"warning: {problem.text}")
    _print_notice(f"task file: {path}; edit it, and run it with --task {path}")
    return str(path)


def _print_result(options: argparse.Namespace, result: Result) -> None:
    if options.json:
        print(json.dumps(result.summary), flush=True)
    else:
        Console().print(summary_table(result.summary))
        print(f"report: {result.folder / 'report.html'}", flush=True)
    options.finished = True
    if options.keep_serving:
        print(
            "cloud, console and devices keep running; Ctrl-C stops them",
            file=sys.stderr,
            flush=True,
        )


def _print_notice(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print_console(addresses: Addresses) -> None:
    if addresses.console is not None:
        print(
            f"console: {addresses.console} (password: {addresses.console_password})",
            file=sys.stderr,
            flush=True,
        )


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed; give a whole number from 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
