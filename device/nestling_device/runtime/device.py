"""Wires one device: state folder, delivery, bundle, agent, telemetry."""

import logging
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from nestling.topics import check_device_id
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import Receipt
from nestling_core.nest.bundle_files import Activations
from nestling_core.network.address import Address
from nestling_device.bundle.loaded_bundle import LoadedBundle, load_bundle
from nestling_device.bundle.self_test import self_test
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.bundle_source import BlobSource, DeliveryError
from nestling_device.delivery.grpc_source import GrpcSource
from nestling_device.delivery.installer import Installer, VerifiedBundle
from nestling_device.delivery.mqtt_source import MqttSource
from nestling_device.energy.measured_costs import MeasuredCosts
from nestling_device.energy.meter import Meter
from nestling_device.enrolment.renewal import Renewal
from nestling_device.inference.agent import Agent, Window
from nestling_device.inference.offloader import GrpcOffloader
from nestling_device.inference.target_controller import share_in_force, with_share
from nestling_device.runtime.updater import Updater
from nestling_device.storage.lock import locked
from nestling_device.storage.state import State
from nestling_device.telemetry.outbox import Outbox
from nestling_device.telemetry.publisher import Telemetry, TelemetryConfig
from nestling_device.telemetry.sparkplug_node import Gauges
from nestling_device.transport.identity import Identity

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DeviceConfig:
    """Who a device is, and where its cloud is.

    Attributes:
        device_id: letters, digits, dots, dashes and underscores.
        profile: name of its board, told to the console.
        state_dir: everything that has to outlive a restart.
        cloud: where inference and delivery are.
        broker: where the MQTT broker is.
        activations: that this machine's processor is made for.
        delivery: how bundles come.
        deadline_ms: when an offload has to be answered, by the clock.
        identity: for TLS with cloud and broker, in the name `device_id`; None for a cloud on this
            machine, without TLS.
    """

    device_id: str
    profile: str
    state_dir: Path
    cloud: Address
    broker: Address
    activations: Activations
    delivery: Literal["grpc", "mqtt"] = "grpc"
    deadline_ms: float = 1000.0
    identity: Identity | None = None


class Device:
    """A running device; use it as a context manager, from one thread."""

    def __init__(
        self,
        config: DeviceConfig,
        meter: Meter,
        memory_bytes: int,
        costs: MeasuredCosts | None = None,
    ) -> None:
        """Prepare a device.

        Args:
            config: who and where.
            meter: tells what its steps take.
            memory_bytes: budget that decides how much of the nest is fetched at first.
            costs: what was measured on this machine, if anything was.

        Raises:
            ValueError: the device id has characters that cannot stand in a topic.
        """
        check_device_id(config.device_id)
        self._config = config
        self._meter = meter
        self._memory_bytes = memory_bytes
        self._costs = costs
        self._stack = ExitStack()
        self._next: LoadedBundle | None = None  # another release, which growing brought
        self._source = _blob_source(config)

    def __enter__(self) -> Self:
        """Install the desired bundle, or take up the one on the disk, and begin telemetry.

        Raises:
            DeviceError: no bundle can be had, or the state folder cannot be used.
        """
        with ExitStack() as stack:
            self._enter(stack)
            self._stack = stack.pop_all()
        return self

    def _enter(self, stack: ExitStack) -> None:
        config = self._config
        stack.enter_context(locked(config.state_dir))
        self._state = stack.enter_context(State(config.state_dir))
        self._outbox = stack.enter_context(Outbox(config.state_dir))
        self._blobs = BlobStore(config.state_dir / "blobs")
        self._installer = Installer(
            self._state, self._blobs, self._source, self_test, config.activations
        )
        self._installing = threading.Lock()
        self._updater = Updater(self._update, config.device_id)
        stack.callback(self._updater.close)
        stack.callback(self._source.close)  # ends the installation that the updater waits for
        self._adopt(load_bundle(self._install_or_resume(), self._blobs))
        stack.callback(self._hang_up)
        self._telemetry = stack.enter_context(self._open_telemetry())
        if config.identity is not None:
            stack.enter_context(Renewal(config.identity))

    def _adopt(self, parts: LoadedBundle) -> None:
        """Answer by another bundle from now on."""
        self._offloader = GrpcOffloader(
            self._config.cloud,
            model=parts.manifest.cloud.name,
            classes=len(parts.manifest.signature.classes),
            device_id=self._config.device_id,
            identity=self._config.identity,
        )
        self._agent = Agent(
            parts,
            self._offloader,
            self._meter,
            deadline_ms=self._config.deadline_ms,
            keep=self._outbox.append,
            grow=self._grow,
            costs=self._costs,
        )

    def _install_or_resume(self) -> VerifiedBundle:
        """Install the desired bundle; where that fails, go on with the one on the disk."""
        try:
            return self._installer.install(self._memory_bytes)
        except DeliveryError as err:
            held = self._installer.active(self._memory_bytes)
            if held is None:
                raise
            _log.warning("%s; going on with bundle %s", err, held.version)
            return held

    def _grow(self, memory_bytes: int) -> LoadedBundle:
        """Use more of the nest, from the disk if it is there, else from the cloud."""
        if not self._installing.acquire(blocking=False):
            raise DeliveryError("a new release is being installed")
        try:
            held = None
            with suppress(DeliveryError):  # damaged: only the cloud can help
                held = self._installer.active(memory_bytes)
            if held is None or held.capacity <= self._agent.parts.held:
                held = self._installer.install(memory_bytes)
            parts = load_bundle(held, self._blobs)
        finally:
            self._installing.release()
        if parts.version != self.parts.version:
            self._next = parts
            raise DeliveryError(f"bundle {parts.version} is there; it is taken up after this input")
        return parts

    def _update(self, memory_bytes: int) -> LoadedBundle:
        with self._installing:
            return load_bundle(self._installer.install(memory_bytes), self._blobs)

    def _open_telemetry(self) -> Telemetry:
        config = TelemetryConfig(
            device_id=self._config.device_id,
            host=self._config.broker.host,
            port=self._config.broker.port,
            identity=self._config.identity,
        )
        return Telemetry(config, self._outbox, self._state)

    @property
    def parts(self) -> LoadedBundle:
        """The bundle in use."""
        return self._agent.parts

    @property
    def blobs(self) -> BlobStore:
        """Blobs on this device."""
        return self._blobs

    @property
    def bundle_bytes(self) -> int:
        """Bytes that delivery brought so far."""
        return self._source.bytes_received

    @property
    def telemetry_bytes(self) -> int:
        """Bytes that telemetry sent so far."""
        return self._telemetry.bytes_sent

    @property
    def receipts_written(self) -> int:
        """Receipts that the outbox took since it was made."""
        return self._outbox.last_sequence

    def answer(self, index: int, window: Window, budget: Budget) -> Receipt:
        """Answer one input, by a newly desired bundle if it is ready; see `Agent.answer`.

        The console's wish for the offload share, where there is one, goes before the budget's.
        """
        budget = with_share(budget, self._telemetry.target_share)
        self._take_up_release(budget.memory_bytes)
        receipt = self._agent.answer(index, window, budget)
        self._telemetry.set_gauges(
            Gauges(
                profile=self._config.profile,
                bundle_version=receipt.bundle_version,
                capacity=receipt.resident_capacity,
                battery=budget.battery,
                offload_share=share_in_force(budget),
                drifting=self._agent.drifting,
            )
        )
        return receipt

    def _take_up_release(self, memory_bytes: int) -> None:
        found = self._updater.poll(
            desired=self._telemetry.desired_bundle,
            active=self.parts.version,
            memory_bytes=memory_bytes,
        )
        parts, self._next = found or self._next, None
        if parts is not None and parts.version != self.parts.version:
            _log.info("going over from bundle %s to %s", self.parts.version, parts.version)
            self._hang_up()
            self._adopt(parts)

    def _hang_up(self) -> None:
        self._offloader.close()

    def abandon(self) -> None:
        """Cancel the download under way, and any later one; any thread may call this, at any time.

        Entering a device that has no bundle yet then raises SourceUnreachableError.
        """
        self._source.close()

    def flush(self, timeout_s: float) -> bool:
        """Wait until the cloud has acknowledged every receipt; False if it did not in time."""
        return self._telemetry.flush(timeout_s)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say goodbye and close everything; what is not acknowledged stays in the outbox."""
        self._stack.__exit__(kind, error, trace)


def _blob_source(config: DeviceConfig) -> BlobSource:
    if config.delivery == "mqtt":
        return MqttSource(config.broker, config.device_id, identity=config.identity)
    return GrpcSource(config.cloud, config.device_id, identity=config.identity)
