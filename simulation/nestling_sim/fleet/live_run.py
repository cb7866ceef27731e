"""Runs a live fleet, with one thread per device, real sockets and the scenario's conditions."""

import itertools
import logging
import platform
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nestling_cloud.progress import Progress
from nestling_cloud.service.config import Addresses
from nestling_cloud.tasks import Examples
from nestling_core.network.address import Address
from nestling_device.energy.meter import ProfileMeter
from nestling_device.energy.power_tables import load_board, load_link
from nestling_device.errors import DeviceError
from nestling_device.hardware.machine import activations_of
from nestling_device.inference.input_errors import UnanswerableError
from nestling_device.runtime.device import Device as RunningDevice
from nestling_device.runtime.device_config import DeviceConfig
from nestling_device.runtime.thread_watch import ThreadEndedError, ThreadWatch, watch_threads
from nestling_sim.errors import SimError
from nestling_sim.fleet.links import DeviceLinks, device_links
from nestling_sim.fleet.start_gate import FleetStart, NotStartedError
from nestling_sim.scenario.conditions import budget_at, link_up_at
from nestling_sim.scenario.limits import Needs
from nestling_sim.scenario.scenario import Device, Scenario

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

_FLUSH_S = 60.0
_TICK_S = 0.2


class FleetError(SimError):
    """Raised when a device or thread fails, no receipt arrives, or a package is missing."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The data and settings that a live run needs.

    Attributes:
        scenario: the devices and their conditions.
        streams: a mapping from device id to the inputs and labels of the device.
        needs: the memory, the operations and the bytes that the bundle needs.
        addresses: the addresses of the cloud and its broker.
        state_dir: the parent folder of the devices' state folders.
        first_index: the index of each device's first input in its receipts. It is above 0 if the
            fleet continues an earlier run.
    """

    scenario: Scenario
    streams: Mapping[str, Examples]
    needs: Needs
    addresses: Addresses
    state_dir: Path
    first_index: int = 0


@dataclass(frozen=True, kw_only=True)
class DeviceRun:
    """A device's own counts of a run.

    Attributes:
        device_id: the device's id.
        answered: the number of inputs that the device answered. An input with huge values may have
            no answer.
        receipts: the number of receipts that the device has written since its outbox was created.
        flushed: whether the cloud acknowledged all of these receipts within a minute after the last
            input.
        bundle_bytes: the number of bytes received for bundles.
        telemetry_bytes: the number of bytes sent as telemetry.
    """

    device_id: str
    answered: int
    receipts: int
    flushed: bool
    bundle_bytes: int
    telemetry_bytes: int


def run_fleet(fleet: Fleet, progress: Progress) -> list[DeviceRun]:
    """Run every device to the end of its stream.

    Args:
        fleet: the data and settings of the run.
        progress: the progress display, which advances with every input.

    Returns:
        The counts of each device, in the scenario's order.

    Raises:
        FleetError: a device or a thread failed, and the other devices were stopped.
    """
    devices = fleet.scenario.fleet()
    answers: queue.SimpleQueue[int] = queue.SimpleQueue()
    with _controlled(len(devices)) as (pool, control):
        runs = [pool.submit(_run_device, device, fleet, control, answers) for device in devices]
        total = sum(len(stream) for stream in fleet.streams.values())
        what = f"{len(devices)} devices answer {total} inputs"
        for _ in progress.track(_arriving(answers, total, runs), total, what):
            pass
        # Devices may still wait for the last acknowledgements when the bar is full.
        wait(runs, return_when=FIRST_EXCEPTION)
    return _results(devices, runs)


def keep_answering(fleet: Fleet, *, interval_s: float) -> None:
    """Let every device of a finished fleet repeat its stream until a signal or a failure.

    Args:
        fleet: the data and settings of the earlier run.
        interval_s: the pause between two inputs of a device, seconds.

    Raises:
        FleetError: a device or a thread failed, and the other devices were stopped.
    """
    devices = fleet.scenario.fleet()
    with _controlled(len(devices)) as (pool, control):
        runs = [pool.submit(_keep_device, device, fleet, control, interval_s) for device in devices]
        wait(runs, return_when=FIRST_EXCEPTION)
    _results(devices, runs)


def _results(devices: Sequence[Device], runs: "Sequence[Future[T]]") -> list[T]:
    """Return the result of each device's thread.

    The first failure is raised, with a FleetError in place of a DeviceError. A NotStartedError is
    skipped, because it only follows from another device's failure.
    """
    for device, run in zip(devices, runs, strict=True):
        err = run.exception()
        if isinstance(err, DeviceError):
            raise FleetError(f"{device.device_id}: {err}") from err
        if err is not None and not isinstance(err, NotStartedError):
            raise err
    return [run.result() for run in runs]


def _arriving(
    answers: "queue.SimpleQueue[int]", total: int, runs: Sequence[Future[DeviceRun]]
) -> Iterator[int]:
    """Yield once for each finished input, until all are finished or a device has failed."""
    for number in range(total):
        while True:
            if any(run.done() and run.exception() for run in runs):
                return
            try:
                answers.get(timeout=_TICK_S)
                break
            except queue.Empty:
                continue
        yield number


@dataclass(frozen=True, kw_only=True)
class _Control:
    """The objects that let the threads of a fleet start and stop together, and notice failures."""

    start: FleetStart
    stop: threading.Event
    watch: ThreadWatch


@contextmanager
def _controlled(devices: int) -> Iterator[tuple[ThreadPoolExecutor, _Control]]:
    """Provide a pool with a thread for each device, and stop the devices when the block ends.

    All threads of this process are watched. FleetError is raised if one of them ended with an
    exception, because the results of the run would otherwise be silently wrong.
    """
    try:
        with (
            watch_threads(lambda: None) as watch,
            ThreadPoolExecutor(devices, thread_name_prefix="device") as pool,
        ):
            control = _Control(start=FleetStart(devices), stop=threading.Event(), watch=watch)
            try:
                yield pool, control
            finally:
                control.stop.set()
                control.start.abort()
    except ThreadEndedError as err:
        raise FleetError(str(err)) from err


def _run_device(
    device: Device,
    fleet: Fleet,
    control: _Control,
    answers: "queue.SimpleQueue[int]",
) -> DeviceRun:
    length = len(fleet.streams[device.device_id])
    with _connected(device, fleet, control.start) as (running, links):
        answered = 0
        for turn, has_answer in _answer(device, fleet, running, links, range(length)):
            answered += has_answer
            answers.put(turn)
            control.watch.check()
            if control.stop.is_set():
                break
        links.switch(up=True)
        last = budget_at(device, length - 1, length, fleet.scenario, fleet.needs)
        while running.catch_up(last, hurry=True):
            pass
        flushed = not control.stop.is_set() and running.flush(_FLUSH_S)
        return DeviceRun(
            device_id=device.device_id,
            answered=answered,
            receipts=running.receipts_written,
            flushed=flushed,
            bundle_bytes=running.bundle_bytes,
            telemetry_bytes=running.telemetry_bytes,
        )


def _keep_device(device: Device, fleet: Fleet, control: _Control, interval_s: float) -> None:
    length = len(fleet.streams[device.device_id])
    with _connected(device, fleet, control.start) as (running, links):
        for _ in _answer(device, fleet, running, links, itertools.count(length)):
            control.watch.check()
            if control.stop.wait(interval_s):
                break
        links.switch(up=True)


@contextmanager
def _connected(
    device: Device, fleet: Fleet, start: FleetStart
) -> Iterator[tuple[RunningDevice, DeviceLinks]]:
    """Run a device behind its own links to the cloud and to the broker during the block.

    The block begins when all devices of the fleet are up.
    """
    length = len(fleet.streams[device.device_id])
    meter = ProfileMeter(load_board(device.profile), load_link(device.link))
    first = budget_at(device, 0, length, fleet.scenario, fleet.needs)
    cloud, broker = Address.parse(fleet.addresses.grpc), Address.parse(fleet.addresses.broker)
    with ExitStack() as stack:
        with start.turn():
            links = stack.enter_context(device_links(device.device_id, cloud=cloud, broker=broker))
            config = _config(device, fleet, links)
            running = stack.enter_context(RunningDevice(config, meter, first.memory_bytes))
        start.wait_for_all()
        yield running, links


def _answer(
    device: Device,
    fleet: Fleet,
    running: RunningDevice,
    links: DeviceLinks,
    turns: Iterable[int],
) -> Iterator[tuple[int, bool]]:
    """Answer inputs of the stream, and cut and restore the links according to the scenario.

    The stream repeats if there are more turns than inputs. After each turn, the turn's number is
    yielded, with True if its input has an answer.
    """
    stream, up = fleet.streams[device.device_id], True
    for turn in turns:
        index = turn % len(stream)
        wanted = link_up_at(device, index, len(stream), fleet.scenario)
        if wanted != up:
            links.switch(up=wanted)
            up = wanted
        budget = budget_at(device, index, len(stream), fleet.scenario, fleet.needs)
        try:
            running.answer(fleet.first_index + turn, stream.inputs[index], budget)
            running.catch_up(budget)
        except UnanswerableError as err:
            _LOG.warning("%s: input %d has no answer: %s", device.device_id, index, err)
            yield turn, False
        else:
            yield turn, True


def _config(device: Device, fleet: Fleet, links: DeviceLinks) -> DeviceConfig:
    return DeviceConfig(
        device_id=device.device_id,
        profile=device.profile,
        state_dir=fleet.state_dir / device.device_id,
        cloud=links.cloud.address,
        broker=links.broker.address,
        activations=activations_of(platform.machine()),  # this machine, not the simulated board
        delivery=device.delivery,
        deadline_ms=fleet.scenario.offload.deadline_ms,
        seed=f"{fleet.scenario.seed}-{device.device_id}-{fleet.first_index}",
    )
