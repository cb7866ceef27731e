"""`nestling-device run`."""

import argparse
import signal
import sys
import threading
import time
from pathlib import Path

from nestling.topics import check_device_id
from nestling.v1.budget_pb2 import Budget
from nestling_device.address import split_address
from nestling_device.answer_line import answer_line
from nestling_device.energy.meter import ClockMeter
from nestling_device.energy.profile import Link, load_board, load_link, profile_names
from nestling_device.identity import Identity, IdentityError
from nestling_device.resources import available_memory_bytes, battery_charge
from nestling_device.runtime import Device, DeviceConfig
from nestling_device.sources.recorded import read_golden, read_recording, replay

# What the cloud may take at the end to acknowledge the last receipts.
_FLUSH_S = 5.0
_NAMELESS = "device-1"
_EXAMPLES = """\
examples:
  nestling-device run --cloud 127.0.0.1:8500 --broker 127.0.0.1:1883
      fetch the bundle, answer its golden inputs over and over, one a second
  nestling-device run --id porch --source day.npy --count 500
      answer 500 recorded windows as porch, which has enrolled, and end
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `run`."""
    run = commands.add_parser(
        "run",
        help="run the agent",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("--cloud", "--broker"):
        run.add_argument(
            name, metavar="HOST:PORT", type=address, help="(default: as this device enrolled)"
        )
    run.add_argument(
        "--id",
        type=_device_id,
        help="this device's name (default: as it enrolled, otherwise device-1)",
    )
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
    run.set_defaults(run=_run)


def _add_budget(run: argparse.ArgumentParser) -> None:
    budget = run.add_argument_group("budget", "limits on one answer, and a wish")
    budget.add_argument("--memory-kb", type=_positive, default=10_000.0, help="for the student")
    budget.add_argument("--latency-ms", type=_positive, default=1000.0, help="its deadline")
    budget.add_argument("--energy-mj", type=_positive, default=1000.0, help="compute or radio")
    budget.add_argument(
        "--offload-share", type=_share, default=0.2, help="wished share for the cloud, 0 to 1"
    )


def _run(options: argparse.Namespace) -> int:
    stop = threading.Event()
    # An installation may be broken off at any point, and nothing else happens before the start.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    link = load_link(options.link)
    meter = ClockMeter(load_board(options.profile), link)
    config = _config(options, _take_identity(options))
    with Device(config, meter, _budget(options, link).memory_bytes) as device:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        _answer_all(device, options, link, stop)
        if not device.flush(_FLUSH_S):
            print(
                "nestling-device: some receipts are not stored in the cloud yet; they stay in "
                f"{config.state_dir} and go with the next run",
                file=sys.stderr,
            )
    return 0


def _take_identity(options: argparse.Namespace) -> Identity | None:
    """Find this device's identity; where options say nothing, it does."""
    options.state = options.state or Path(f"nestling-{options.id or _NAMELESS}")
    identity = Identity.load(options.state)
    if identity is not None:
        options.cloud = options.cloud or identity.cloud
        options.broker = options.broker or identity.broker
        options.id = options.id or identity.device_id
        if options.id != identity.device_id:
            raise IdentityError(
                f"{options.state} holds the identity of {identity.device_id!r}, not of "
                f"{options.id!r}; name another --state, or leave out --id"
            )
    if options.cloud is None or options.broker is None:
        raise IdentityError(
            f"no identity in {options.state}: enrol this device (nestling-device enrol), or name "
            "--cloud and --broker on this machine"
        )
    options.id = options.id or _NAMELESS
    return identity


def _config(options: argparse.Namespace, identity: Identity | None) -> DeviceConfig:
    host, port = split_address(options.broker)
    return DeviceConfig(
        device_id=options.id,
        profile=options.profile,
        state_dir=options.state,
        cloud=options.cloud,
        broker_host=host,
        broker_port=port,
        delivery=options.delivery,
        deadline_ms=options.latency_ms,
        identity=identity,
    )


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
        print(answer_line(receipt, classes[receipt.answer], as_json=options.json), flush=True)
        stop.wait(max(0.0, options.interval - (time.monotonic() - started)))


def _budget(options: argparse.Namespace, link: Link) -> Budget:
    """What the operator allows, and no more than the machine has."""
    memory_bytes = int(options.memory_kb * 1000)
    available = available_memory_bytes()
    return Budget(
        memory_bytes=memory_bytes if available is None else min(memory_bytes, available),
        latency_ms=options.latency_ms,
        energy_mj=options.energy_mj,
        link_mbit_s=link.mbit_s,
        link_rtt_ms=link.rtt_ms,
        battery=battery_charge(),
        offload_share=options.offload_share,
    )


def address(text: str) -> str:
    """Check HOST:PORT."""
    try:
        split_address(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
    return text


def _device_id(text: str) -> str:
    try:
        return check_device_id(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


def _positive(text: str) -> float:
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def _share(text: str) -> float:
    share = _number(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1")
    return share


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # which lies within no limits
