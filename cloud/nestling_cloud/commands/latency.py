"""Implements `nestling-cloud latency`, which predicts the latencies of capacities on a device.

The sub-command `probes` writes probe networks, whose latencies are then measured on the device.
`fit` fits a model to the measurements and reports the model's error. `predict` predicts the
latencies of a task's capacities with this model.
"""

import argparse
import json
from dataclasses import asdict
from typing import get_args

from rich.console import Console

from nestling_cloud.commands.model_flags import add_task
from nestling_cloud.progress import ConsoleProgress
from nestling_core.command_line.path_flags import input_file, input_folder, output_folder
from nestling_core.nest.bundle_files import Activations

_COUNT = 80
_MOST = 999


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `latency` with its own sub-commands."""
    parser = subparsers.add_parser(
        "latency", help="predict a device's latencies from measurements of probe networks"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_probes(commands)
    _add_fit(commands)
    _add_predict(commands)


def _add_probes(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "probes",
        help="write untrained int8 students of random widths",
        description="Write a task's student, untrained and in int8, at random widths as ONNX files "
        "with a probes.json. Copy the folder to a device and measure it there with "
        "nestling-device profile --models.",
        epilog="example:\n"
        "  nestling-cloud latency probes --task wearable --out probes --activations int8\n"
        "      (for a Raspberry Pi; copy the folder there)\n"
        "  nestling-device profile --models probes --seconds 1 --out table.json\n",
    )
    add = parser.add_argument
    add_task(parser)
    add(
        "--out",
        type=output_folder,
        required=True,
        metavar="DIR",
        help="folder to write to; new or empty",
    )
    add(
        "--count",
        type=_count,
        default=_COUNT,
        help="number of networks; fit needs 20 or more (default: %(default)s)",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="random seed of widths and weights (default: %(default)s)",
    )
    add(
        "--activations",
        choices=get_args(Activations),
        default="uint8",
        help="integer type of the activations, the same as on the device: uint8 for x86, int8 for "
        "ARM (default: %(default)s)",
    )
    parser.set_defaults(run=_probes)


def _add_fit(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "fit",
        help="fit the latency model and report its error",
        description="Fit the latency model to a device's measurements and report its error on "
        "held-out probes, next to that of a model that is linear in multiply-accumulates.",
        epilog="example:\n  nestling-cloud latency fit --probes probes --table table.json\n",
    )
    _add_measured(parser)
    parser.set_defaults(run=_fit)


def _add_predict(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "predict",
        help="predict the latency of a task's capacities on the device",
        description="Predict the median latency of one run on the device that measured the probes, "
        "for every capacity of a task's student. The student must have the same blocks as when the "
        "probes were written; its fractions or widths may differ.",
        epilog="example:\n  nestling-cloud latency predict --task wearable --probes probes "
        "--table table.json\n",
    )
    add_task(parser)
    _add_measured(parser)
    parser.set_defaults(run=_predict)


def _add_measured(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--probes",
        type=input_folder,
        required=True,
        metavar="DIR",
        help="folder written by nestling-cloud latency probes",
    )
    add(
        "--table",
        type=input_file,
        required=True,
        metavar="FILE",
        help="latencies of the probes, written by nestling-device profile",
    )
    add("--json", action="store_true", help="print JSON instead of text")


def _probes(options: argparse.Namespace) -> None:
    # Importing torch takes seconds; the other commands should not wait for it.
    from nestling_cloud.latency.family import Family  # noqa: PLC0415
    from nestling_cloud.latency.probes import write_probes  # noqa: PLC0415
    from nestling_cloud.tasks import load_task  # noqa: PLC0415

    task = load_task(options.task)
    write_probes(
        options.out,
        Family(signature=task.signature, config=task.student),
        count=options.count,
        seed=options.seed,
        progress=ConsoleProgress(Console(stderr=True)),
        activations=options.activations,
    )
    print(options.out)


def _fit(options: argparse.Namespace) -> None:
    # Importing scikit-learn takes seconds too.
    from nestling_cloud.latency import model  # noqa: PLC0415
    from nestling_cloud.latency.probes import read_probes  # noqa: PLC0415
    from nestling_cloud.latency.table import read_table  # noqa: PLC0415

    table = read_table(options.table, read_probes(options.probes))
    errors = {
        "trees": model.held_out_error(table, model.fit_trees),
        "linear_in_macs": model.held_out_error(table, model.fit_linear_in_macs),
    }
    if options.json:
        report = {name: asdict(error) for name, error in errors.items()}
        print(json.dumps({"machine": table.machine, "probes": len(table.widths), "error": report}))
        return
    fastest, slowest = min(table.microseconds), max(table.microseconds)
    print(f"{len(table.widths)} probes on {table.machine}: {fastest:.0f} to {slowest:.0f} µs")
    print("error on held-out probes (median, 90th percentile):")
    for name, error in errors.items():
        print(f"  {name.replace('_', ' '):14} {error.median:6.1%} {error.p90:6.1%}")


def _predict(options: argparse.Namespace) -> None:
    from nestling_cloud.latency.model import load_model  # noqa: PLC0415
    from nestling_cloud.tasks import load_task  # noqa: PLC0415

    task, model = load_task(options.task), load_model(options.probes, options.table)
    rows = [task.student.widths_at(k) for k in range(1, task.student.capacities + 1)]
    times = [model.predict(task.signature, task.student, row) for row in rows]
    if options.json:
        print(json.dumps({"widths": rows, "microseconds": times}))
        return
    for number, (row, time) in enumerate(zip(rows, times, strict=True), start=1):
        print(f"capacity {number}: {time:8.0f} µs  {'-'.join(map(str, row))}")


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= _MOST):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {_MOST}")
    return int(text)
