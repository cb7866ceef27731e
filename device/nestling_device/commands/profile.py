"""`nestling-device profile`."""

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
from nestling_device.sources.recorded import read_golden
from nestling_device.storage.database import StorageError
from nestling_device.storage.snapshot import is_running, read_bundle

_SECONDS = 3.0
_EXAMPLES = """\
examples:
  sudo systemctl stop nestling-device
  sudo -u nestling nestling-device profile --write
  sudo systemctl start nestling-device
      measure on an idle machine; from then on the policy counts with what was found
  nestling-device profile --state nestling-porch --json
      measure another device's bundle and change nothing
  nestling-device profile --models probes --seconds 1 --out table.json
      measure every ONNX file of a folder, in turns; no bundle is needed
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `profile`."""
    parser = commands.add_parser(
        "profile",
        help="measure what every capacity takes on this machine",
        description="Run every network of the installed bundle over and over, and tell latency, "
        "memory and energy of one run; or that of every ONNX model in a folder.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_config(parser)
    flags.add_device(parser)
    parser.add_argument(
        "--seconds", type=_seconds, default=_SECONDS, help="for each network (default: %(default)g)"
    )
    measured = parser.add_mutually_exclusive_group()
    measured.add_argument(
        "--models",
        type=input_folder,
        metavar="DIR",
        help="measure a folder's *.onnx instead of a bundle",
    )
    measured.add_argument(
        "--write", action="store_true", help="keep the figures; the policy uses them from then on"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument(
        "--out", type=output_file, metavar="FILE", help="write it into a file as well"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    found: MeasuredCosts | ModelCosts
    if options.models is not None:
        with _conditions(flags.read(options), options.seconds) as conditions:
            found = profile_models(options.models, conditions, _say)
        _tell(options, found, _model_lines(found))
        return 0
    config, _ = resolve_identity(flags.read(options))
    state_dir = Path(config.device.state)
    parts, blobs = _installed(state_dir)
    if is_running(state_dir):
        _say("the device runs: what it does disturbs the figures; stop it first")
    with _conditions(config, options.seconds) as conditions:
        found = profile(parts, read_golden(parts.manifest, blobs), conditions, _say)
    _tell(options, found, _lines(found))
    if options.write:
        _write(state_dir, found)
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


def _tell(
    options: argparse.Namespace, found: MeasuredCosts | ModelCosts, lines: Sequence[str]
) -> None:
    if options.json:
        print(found.to_json(), end="")
        return
    print("\n".join(lines))
    if options.out is None:
        return
    try:
        options.out.write_text(found.to_json(), "utf-8")
    except OSError as err:
        raise StorageError(f"cannot write {options.out}: {err.strerror}; name another") from err


def _installed(state_dir: Path) -> tuple[LoadedBundle, BlobStore]:
    held = read_bundle(state_dir)
    if held is None:
        raise DeliveryError(
            f"no bundle in {state_dir} yet; nestling-device run fetches it at its start"
        )
    blobs = BlobStore(state_dir / "blobs")
    blob = Blob(sha256=held.sha256, size=held.size)
    installed = VerifiedBundle(
        manifest=parse_manifest(blobs.read(blob)),
        manifest_blob=blob,
        version=held.version,
        capacity=held.capacity,
        activations=activations_of(platform.machine()),
    )
    return load_bundle(installed, blobs), blobs


def _write(state_dir: Path, found: MeasuredCosts) -> None:
    try:
        path = write_costs(state_dir, found)
    except OSError as err:
        raise StorageError(f"cannot write a profile into {state_dir}: {err}") from err
    _say(f"written to {path}; a device takes it up when it starts")


def _lines(found: MeasuredCosts) -> list[str]:
    networks = {f"capacity {number}": cost for number, cost in enumerate(found.capacities, start=1)}
    return [f"{found.bundle} on {found.machine}", *_power(found), *_table("network", networks)]


def _model_lines(found: ModelCosts) -> list[str]:
    models = f"{len(found.models)} models on {found.machine}"
    return [models, *_power(found), *_table("model", found.models)]


def _power(found: MeasuredCosts | ModelCosts) -> list[str]:
    if found.idle_w is None or found.active_w is None:
        return []
    return [f"{found.meter}: {found.idle_w:.2f} W idle, {found.active_w:.2f} W on top"]


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
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: {err}") from err


def _say(text: str) -> None:
    print(f"nestling-device: {text}", file=sys.stderr)
