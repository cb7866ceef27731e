"""Implements the sub-command `nestling-device run`, which answers inputs until it is stopped."""

import argparse
import json
import logging
import platform
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Literal, cast

from nestling_core.kinds.of_signature import kind_of
from nestling_core.network.address import Address
from nestling_core.parsing.throttled_log import fewer_repeats
from nestling_device.commands import flags
from nestling_device.commands.answer_format import (
    answer_line,
    guarantee_line,
    guarantee_text,
    is_revision,
    refusal_line,
    revision_line,
)
from nestling_device.config.schema import Config
from nestling_device.delivery.bundle_source import SourceUnreachableError
from nestling_device.energy.measured_costs import read_costs
from nestling_device.enrolment.resolve import check_reachable, resolve_identity
from nestling_device.hardware.machine import activations_of, machine_name
from nestling_device.inference.field_guarantee import GuaranteeStatus
from nestling_device.inference.input_errors import UnanswerableError
from nestling_device.runtime.budget import budget_of
from nestling_device.runtime.device import Device
from nestling_device.runtime.device_config import DeviceConfig
from nestling_device.runtime.open_meter import open_meter
from nestling_device.runtime.open_source import open_source
from nestling_device.runtime.signals import ending_signals
from nestling_device.runtime.thread_watch import ThreadWatch, watch_threads
from nestling_device.sources.source import Origin, Source
from nestling_device.transport.identity import Identity

_log = logging.getLogger(__name__)

# How long a stop waits for the cloud to acknowledge the last receipts.
_FLUSH_S = 5.0
# Longest wait for one input, so that a stop is noticed while the source is silent.
_PATIENCE_S = 0.5
_EXAMPLES = """\
examples:
  nestling-device run --cloud 127.0.0.1:8500 --broker 127.0.0.1:1883
      fetch the bundle and answer its golden inputs repeatedly, one a second
  nestling-device run --id porch --source day.npy --count 500
      answer 500 recorded windows as porch, which has enrolled, and stop
  nestling-device run --config /etc/nestling/device.toml --source socket:/run/nestling/inputs
      use the settings of the file, but take inputs from another program
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `run` sub-command."""
    run = commands.add_parser(
        "run",
        help="answer inputs, send telemetry and install new bundles",
        description="Answer inputs on this device, send hard ones to the cloud, and install new "
        "bundles. Ctrl-C stops it.",
        epilog=_EXAMPLES,
    )
    flags.add_config(run)
    flags.add_cloud(run)
    flags.add_device(run)
    flags.add_source(run)
    run.add_argument("--count", type=_count, help="stop after this many inputs (default: no limit)")
    flags.add_budget(run)
    run.add_argument("--json", action="store_true", help="print each answer as one line of JSON")
    run.add_argument("--verbose", action="store_true", help="log more on standard error")
    run.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    config, identity = resolve_identity(flags.read(options))
    check_reachable(config, identity)
    state_dir = Path(config.device.state)
    costs = read_costs(state_dir, machine_name())
    memory_bytes = budget_of(config).memory_bytes
    stop = threading.Event()
    with watch_threads(stop.set) as watch, open_meter(config, costs) as meter:
        device = Device(_device_config(config, identity), meter, memory_bytes, costs)
        with ending_signals(stop, device.abandon):
            try:
                with device:
                    _run_started(device, config, options, stop, watch)
            except SourceUnreachableError:
                if not stop.is_set():  # if it is, a signal interrupted the first download
                    raise
    return 0


def _run_started(
    device: Device,
    config: Config,
    options: argparse.Namespace,
    stop: threading.Event,
    watch: ThreadWatch,
) -> None:
    _print_bundle(config, device)
    state_dir = Path(config.device.state)
    with (
        closing(open_source(config.source, device, state_dir)) as source,
        fewer_repeats(_log),
    ):
        _answer_all(device, source, config, options, stop)
        _ask_about_the_rest(device, source, config, options)
    watch.check()
    if not device.flush(_FLUSH_S):
        print(
            "nestling-device: some receipts are not stored in the cloud yet; they stay in "
            f"{state_dir}, and the next run sends them",
            file=sys.stderr,
        )


def _device_config(config: Config, identity: Identity | None) -> DeviceConfig:
    return DeviceConfig(
        device_id=config.device.id,
        profile=config.board.profile,
        state_dir=Path(config.device.state),
        cloud=Address.parse(config.cloud.address),
        broker=Address.parse(config.cloud.broker),
        activations=activations_of(platform.machine()),
        delivery=cast("Literal['grpc', 'mqtt']", config.cloud.delivery),
        deadline_ms=config.budget.latency_ms,
        source=repr(config.source),
        stream_gap_s=config.device.stream_gap_s,
        identity=identity,
    )


def _answer_all(
    device: Device,
    source: Source,
    config: Config,
    options: argparse.Namespace,
    stop: threading.Event,
) -> None:
    index, guaranteed = 0, _GuaranteeNotice()
    while index != options.count and not stop.is_set():
        started = time.monotonic()
        entry = source.take(_PATIENCE_S)
        if entry is None:
            _catch_up(device, source, config, options)
            continue
        before = device.bundle
        try:
            budget = budget_of(config)
            receipt, fault = device.answer(index, entry.window, budget, entry.origin), ""
        except UnanswerableError as err:
            receipt, fault = None, str(err)
        if (before.version, before.held) != (device.bundle.version, device.bundle.held):
            _print_bundle(config, device, as_event=options.json)
        if receipt is None:
            _refuse(source, entry.origin, index, fault, as_event=options.json)
        else:
            kind = kind_of(device.bundle.manifest.signature)
            print(answer_line(receipt, kind, entry.origin, as_json=options.json), flush=True)
            source.settle(answer_line(receipt, kind, entry.origin, as_json=True))
        _catch_up(device, source, config, options)
        guaranteed.show(device.guarantee, as_event=options.json)
        index += 1
        if not source.live:
            stop.wait(max(0.0, config.device.interval_s - (time.monotonic() - started)))


class _GuaranteeNotice:
    """Prints on standard error when a tolerated risk becomes guaranteed, or is not any more.

    If `as_event`, it also prints a line of JSON on standard output.
    """

    def __init__(self) -> None:
        self._shown: tuple[float, bool] | None = None

    def show(self, status: GuaranteeStatus | None, *, as_event: bool) -> None:
        """Print the status if it has changed."""
        now = None if status is None else (status.risk, status.since_ms is not None)
        if now == self._shown:
            return
        self._shown = now
        if status is None:
            return
        print(f"nestling-device: {guarantee_text(status)}", file=sys.stderr)
        if as_event:
            print(guarantee_line(status), flush=True)


def _catch_up(
    device: Device,
    source: Source,
    config: Config,
    options: argparse.Namespace,
    *,
    hurry: bool = False,
) -> bool:
    """Ask the cloud about inputs that wait for it, and print the answers that it revises.

    Return whether there were any.
    """
    found = device.catch_up(budget_of(config), hurry=hurry)
    for receipt, origin in found:
        if is_revision(receipt):
            kind = kind_of(device.bundle.manifest.signature)
            print(revision_line(receipt, kind, origin, as_json=options.json), flush=True)
            source.revise(revision_line(receipt, kind, origin, as_json=True), origin)
    return bool(found)


def _ask_about_the_rest(
    device: Device, source: Source, config: Config, options: argparse.Namespace
) -> None:
    """Ask the cloud about the inputs that still wait, for a few seconds at most."""
    until_s = time.monotonic() + _FLUSH_S
    while time.monotonic() < until_s and _catch_up(device, source, config, options, hurry=True):
        pass


def _refuse(source: Source, origin: Origin, index: int, reason: str, *, as_event: bool) -> None:
    """Log that an input has no answer, and tell the input's source.

    If `as_event`, also print a line of JSON.
    """
    _log.warning("input %d has no answer: %s", index, reason)
    if as_event:
        print(refusal_line(index, reason, origin), flush=True)
    source.refuse(reason)


def _print_bundle(config: Config, device: Device, *, as_event: bool = False) -> None:
    """Print the bundle and its capacities on standard error.

    If `as_event`, also print them as a line of JSON on standard output.
    """
    version, capacities = device.bundle.version, device.bundle.held
    print(
        f"nestling-device: {config.device.id} runs {version}, capacities 1 to {capacities}",
        file=sys.stderr,
    )
    if as_event:
        event = {"event": "bundle", "bundle": version, "capacities": capacities}
        print(json.dumps(event), flush=True)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)
