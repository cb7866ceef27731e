"""The command `nestling-device`."""

import argparse
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from nestling.topics import check_device_id
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import Reason, Receipt
from nestling_device.energy.meter import ClockMeter
from nestling_device.energy.profile import Link, load_board, load_link, profile_names
from nestling_device.errors import DeviceError
from nestling_device.resources import available_memory_bytes, battery_charge
from nestling_device.runtime import Device, DeviceConfig
from nestling_device.sources.recorded import read_golden, read_recording, replay

_EXAMPLES = """\
examples:
  nestling-device run --cloud 127.0.0.1:8500 --broker 127.0.0.1:1883
      fetch the bundle, answer its golden inputs over and over, one a second
  nestling-device run --cloud cloud:8500 --broker cloud:1883 --id porch --source day.npy --count 500
      answer 500 recorded windows and end
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, 1 for a failure, 2 for wrong usage (by argparse)."""
    options = _parser().parse_args(arguments)
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(message)s")
    try:
        return _run(options)
    except DeviceError as err:
        print(f"nestling-device: {err}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="nestling-device",
        description="Answers inputs on this device and sends the hard ones to the cloud.",
        epilog=_EXAMPLES,
        formatter_class=raw,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run the agent", epilog=_EXAMPLES, formatter_class=raw)
    run.add_argument("--cloud", required=True, metavar="HOST:PORT", type=_address)
    run.add_argument("--broker", required=True, metavar="HOST:PORT", type=_address)
    run.add_argument("--id", default="device-1", type=_device_id, help="this device's name")
    run.add_argument(
        "--state", type=Path, metavar="DIR", help="state folder (default: ./nestling-<id>)"
    )
    run.add_argument(
        "--delivery", choices=("grpc", "mqtt"), default="grpc", help="how bundles come"
    )
    run.add_argument("--profile", choices=profile_names("boards"), default="pi-4b")
    run.add_argument("--link", choices=profile_names("links"), default="wifi")
    run.add_argument(
        "--source", type=Path, metavar="FILE.npy", help="recorded windows (default: golden inputs)"
    )
    run.add_argument("--count", type=_count, help="inputs to answer (default: no end)")
    run.add_argument(
        "--interval", type=_positive, default=1.0, metavar="S", help="seconds between inputs"
    )
    _add_budget(run)
    run.add_argument("--json", action="store_true", help="one JSON object a line for each answer")
    run.add_argument("--verbose", action="store_true", help="say more on stderr")
    return parser


def _add_budget(run: argparse.ArgumentParser) -> None:
    budget = run.add_argument_group("budget")
    budget.add_argument("--memory-kb", type=_positive, default=10_000.0)
    budget.add_argument("--latency-ms", type=_positive, default=1000.0)
    budget.add_argument("--energy-mj", type=_positive, default=1000.0)
    budget.add_argument(
        "--offload-share", type=_share, default=0.2, help="wished share for the cloud, 0 to 1"
    )


def _run(options: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    link = load_link(options.link)
    meter = ClockMeter(load_board(options.profile), link)
    host, _, port = options.broker.rpartition(":")
    config = DeviceConfig(
        device_id=options.id,
        profile=options.profile,
        state_dir=options.state or Path(f"nestling-{options.id}"),
        cloud=options.cloud,
        broker_host=host,
        broker_port=int(port),
        delivery=options.delivery,
        deadline_ms=options.latency_ms,
    )
    with Device(config, meter, _budget(options, link).memory_bytes) as device:
        _answer_all(device, options, link, stop)
        if not device.flush(timeout_s=5.0):
            print(
                "nestling-device: some receipts are not stored in the cloud yet; they stay in "
                f"{config.state_dir} and go with the next run",
                file=sys.stderr,
            )
    return 0


def _answer_all(
    device: Device, options: argparse.Namespace, link: Link, stop: threading.Event
) -> None:
    parts = device.parts
    print(
        f"nestling-device: {options.id} runs {parts.version}, capacities 1 to {parts.held}",
        file=sys.stderr,
    )
    windows = (
        read_recording(options.source, parts.manifest.signature.shape)
        if options.source
        else read_golden(parts.manifest, device.blobs)
    )
    classes = parts.manifest.signature.classes
    for index, window in enumerate(replay(windows, options.count)):
        if stop.is_set():
            return
        started = time.monotonic()
        receipt = device.answer(index, window, _budget(options, link))
        print(_line(receipt, classes[receipt.answer], as_json=options.json), flush=True)
        stop.wait(max(0.0, options.interval - (time.monotonic() - started)))


def _budget(options: argparse.Namespace, link: Link) -> Budget:
    """What the operator allows, and no more than the machine has."""
    return Budget(
        memory_bytes=min(int(options.memory_kb * 1000), available_memory_bytes()),
        latency_ms=options.latency_ms,
        energy_mj=options.energy_mj,
        link_mbit_s=link.mbit_s,
        link_rtt_ms=link.rtt_ms,
        battery=battery_charge(),
        offload_share=options.offload_share,
    )


def _line(receipt: Receipt, answer: str, *, as_json: bool) -> str:
    route = f"capacity-{receipt.route.capacity}" if receipt.route.capacity else "cloud"
    reason = Reason.Name(receipt.route.reason).removeprefix("REASON_").lower()
    energy_mj = sum(entry.energy_mj for entry in receipt.energy)
    if not as_json:
        return (
            f"{receipt.input_index:6d}  {answer:12s} {route:11s} {reason:18s} "
            f"{receipt.latency_ms:8.2f} ms  {energy_mj:8.3f} mJ (modelled)"
        )
    return json.dumps(
        {
            "input": receipt.input_index,
            "answer": answer,
            "route": route,
            "reason": reason,
            "latency_ms": round(receipt.latency_ms, 3),
            "energy_mj": round(energy_mj, 4),
            "energy_provenance": "modelled",
            "bundle": receipt.bundle_version,
        }
    )


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return text


def _device_id(text: str) -> str:
    try:
        return check_device_id(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to 1")
    return share
