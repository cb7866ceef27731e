"""Implements the sub-command `nestling-device profile`, which measures the costs of networks."""

import argparse
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nestling.v1.bundle_pb2 import Blob
from nestling_core.command_line.path_flags import input_folder, output_file
from nestling_device.bundle.loaded_bundle import LoadedBundle, load_bundle
from nestling_device.commands import flags
from nestling_device.config.fields import NotAllowedError, Number
from nestling_device.config.schema import Config
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.delivery.installer import VerifiedBundle
from nestling_device.delivery.release_rules import parse_manifest
from nestling_device.energy.measured_costs import MeasuredCosts, NetworkCost, write_costs
from nestling_device.energy.power_tables import load_board
from nestling_device.energy.sampler import Sampler
from nestling_device.enrolment.resolve import resolve_identity
from nestling_device.hardware.machine import activations_of, machine_name
from nestling_device.profiling.bundle import Conditions, profile
from nestling_device.profiling.onnx_folder import ModelCosts, profile_models
from nestling_device.runtime.open_instrument import open_instrument
from nestling_device.sources.replay import read_golden
from nestling_device.storage.database import StorageError
from nestling_device.storage.snapshot import is_running, read_bundle

_SECONDS = 3.0
_EXAMPLES = """\
examples:
  sudo systemctl stop nestling-device
  sudo -u nestling nestling-device profile --write
  sudo systemctl start nestling-device
      measure on an idle machine; from then on the policy uses the measured costs
  nestling-device profile --state nestling-porch --json
      measure another device's bundle, print JSON, and write nothing
  nestling-device profile --models probes --seconds 1 --out table.json
      measure every ONNX model in a folder, in turns; no bundle is needed
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `profile` sub-command."""
    parser = commands.add_parser(
        "profile",
        help="measure latency, memory and energy of every capacity on this machine",
        description="Run every network of the installed bundle repeatedly, and report latency, "
        "memory and energy of one run. With --models, measure the ONNX models of a\n"
        "folder instead.",
        epilog=_EXAMPLES,
    )
    flags.add_config(parser)
    flags.add_device(parser)
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=_SECONDS,
        help="seconds to measure each network for (default: %(default)g)",
    )
    measured = parser.add_mutually_exclusive_group()
    measured.add_argument(
        "--models",
        type=input_folder,
        metavar="DIR",
        help="measure the *.onnx files of a folder instead of the installed bundle",
    )
    measured.add_argument(
        "--write",
        action="store_true",
        help="save the costs in the state folder; the policy uses them from the next start on",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "--json", action="store_true", help="print one JSON object instead of a table"
    )
    output.add_argument(
        "--out", type=output_file, metavar="FILE", help="also write the JSON object to a file"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    costs: MeasuredCosts | ModelCosts
    if options.models is not None:
        with _conditions(flags.read(options), options.seconds) as conditions:
            costs = profile_models(options.models, conditions, _log)
        _output(options, costs, _model_lines(costs))
        return 0
    config, _ = resolve_identity(flags.read(options))
    state_dir = Path(config.device.state)
    bundle, blobs = _installed(state_dir)
    if is_running(state_dir):
        _log("the device is running, which disturbs the measurement; stop it first")
    with _conditions(config, options.seconds) as conditions:
        costs = profile(bundle, read_golden(bundle.manifest, blobs), conditions, _log)
    _output(options, costs, _lines(costs))
    if options.write:
        _write(state_dir, costs)
    return 0


@contextmanager
def _conditions(config: Config, seconds: float) -> Iterator[Conditions]:
    with ExitStack() as stack:
        instrument = open_instrument(config.meter)
        yield Conditions(
            board=load_board(config.board.profile),
            sampler=None if instrument is None else stack.enter_context(Sampler(instrument)),
            seconds=seconds,
            meter=config.meter.kind,
            machine=machine_name(),
        )


def _output(
    options: argparse.Namespace, costs: MeasuredCosts | ModelCosts, lines: Sequence[str]
) -> None:
    if options.json:
        print(costs.to_json(), end="")
        return
    print("\n".join(lines))
    if options.out is None:
        return
    try:
        options.out.write_text(costs.to_json(), "utf-8")
    except OSError as err:
        raise StorageError(
            f"cannot write {options.out}: {err.strerror}", advice="name another file"
        ) from err


def _installed(state_dir: Path) -> tuple[LoadedBundle, BlobStore]:
    bundle = read_bundle(state_dir)
    if bundle is None:
        raise DeliveryError(
            f"no bundle in {state_dir} yet", advice="nestling-device run fetches it when it starts"
        )
    blobs = BlobStore(state_dir / "blobs")
    installed = VerifiedBundle(
        manifest=parse_manifest(blobs.read(Blob(sha256=bundle.sha256, size=bundle.size))),
        version=bundle.version,
        capacity=bundle.capacity,
        activations=activations_of(platform.machine()),
    )
    return load_bundle(installed, blobs), blobs


def _write(state_dir: Path, costs: MeasuredCosts) -> None:
    try:
        path = write_costs(state_dir, costs)
    except OSError as err:
        raise StorageError(
            f"cannot write the measured costs into {state_dir}: {err}",
            advice="let this user write there",
        ) from err
    _log(f"written to {path}; the device uses it from its next start on")


def _lines(costs: MeasuredCosts) -> list[str]:
    networks = {f"capacity {number}": cost for number, cost in enumerate(costs.capacities, start=1)}
    return [f"{costs.bundle} on {costs.machine}", *_power(costs), *_table("network", networks)]


def _model_lines(costs: ModelCosts) -> list[str]:
    models = f"{len(costs.models)} models on {costs.machine}"
    return [models, *_power(costs), *_table("model", costs.models)]


def _power(costs: MeasuredCosts | ModelCosts) -> list[str]:
    if costs.idle_w is None or costs.active_w is None:
        return []
    return [f"{costs.meter}: {costs.idle_w:.2f} W idle, {costs.active_w:.2f} W on top"]


def _table(noun: str, networks: Mapping[str, NetworkCost]) -> list[str]:
    width = max(map(len, [noun, *networks]))
    head = f"{noun:{width}} {'p50 ms':>9} {'p95 ms':>9} {'energy mJ':>10}  {'':10}  memory"
    return [head, *(f"{name:{width}} {_figures(cost)}" for name, cost in networks.items())]


def _figures(cost: NetworkCost) -> str:
    return (
        f"{cost.latency_ms:9.3f} {cost.latency_p95_ms:9.3f} {cost.energy_mj:10.3f}  "
        f"{cost.energy_provenance:10}  {cost.resident_bytes / 1e6:.0f} MB"
    )


def _seconds(text: str) -> float:
    try:
        return Number(low=0.01, high=600).parse(text)
    except NotAllowedError as err:
        raise argparse.ArgumentTypeError(f"costs {text!r}; allowed: {err}") from err


def _log(text: str) -> None:
    print(f"nestling-device: {text}", file=sys.stderr)
