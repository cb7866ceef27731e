"""Opens, connects and closes the components of a device.

The components are the state folder, delivery, the bundle, the agent and telemetry.
"""

import logging
import random
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from nestling.topics import check_device_id
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import Receipt
from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.bundle.self_test import self_test
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.delivery.installer import Installer
from nestling_device.energy.measured_costs import MeasuredCosts
from nestling_device.energy.meter import Meter
from nestling_device.enrolment.renewal import Renewal
from nestling_device.inference.agent import Agent
from nestling_device.inference.field_guarantee import GuaranteeStatus
from nestling_device.inference.follow_ups import Revision
from nestling_device.inference.grpc_offloader import GrpcOffloader
from nestling_device.inference.input_check import Window
from nestling_device.inference.stream_state import Stream
from nestling_device.inference.target_controller import with_share
from nestling_device.runtime.agent_gauges import gauges_of
from nestling_device.runtime.bundle_loader import BundleLoader
from nestling_device.runtime.device_config import DeviceConfig
from nestling_device.runtime.open_blob_source import open_blob_source
from nestling_device.runtime.updater import Updater
from nestling_device.sources.source import Origin
from nestling_device.storage.lock import locked
from nestling_device.storage.state import State
from nestling_device.telemetry.outbox import Outbox
from nestling_device.telemetry.publisher import Telemetry
from nestling_device.telemetry.telemetry_config import TelemetryConfig

_log = logging.getLogger(__name__)


class Device:
    """A running device, as a context manager for use by one thread."""

    def __init__(
        self,
        config: DeviceConfig,
        meter: Meter,
        memory_bytes: int,
        costs: MeasuredCosts | None = None,
    ) -> None:
        """Prepare a device without opening anything yet.

        Args:
            config: the settings of the device.
            meter: the meter that estimates or measures the time and energy of each step.
            memory_bytes: the memory budget, in bytes, that decides how many capacities are
                downloaded at first.
            costs: the costs measured on this machine, or None if there are none.

        Raises:
            ValueError: the device id has characters that an MQTT topic cannot contain.
        """
        check_device_id(config.device_id)
        self._config = config
        self._meter = meter
        self._memory_bytes = memory_bytes
        self._costs = costs
        self._stack = ExitStack()
        self._next: LoadedBundle | None = None  # another release, downloaded while growing
        self._source = open_blob_source(config)
        self._draw = (random.Random(config.seed) if config.seed else random.SystemRandom()).random

    def __enter__(self) -> Self:
        """Lock and open the state folder, install the desired bundle and start telemetry.

        If the desired bundle cannot be installed, the bundle on the disk is used. A device with a
        TLS identity also starts to renew its certificate in the background.

        Raises:
            DeviceError: there is no bundle on the disk and none can be downloaded, or the state
                folder cannot be used.
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
        installer = Installer(self._state, self._blobs, self._source, self_test, config.activations)
        self._loader = BundleLoader(installer, self._blobs)
        self._updater = Updater(self._loader.install, config.device_id)
        stack.callback(self._updater.close)
        stack.callback(self._source.close)  # cancels the download that updater.close waits for
        self._use(self._loader.install_or_resume(self._memory_bytes))
        stack.callback(self._close_offloader)
        self._telemetry = stack.enter_context(self._open_telemetry())
        if config.identity is not None:
            stack.enter_context(Renewal(config.identity))

    def _use(self, bundle: LoadedBundle) -> None:
        """Use a bundle for the next inputs, with a new agent and a new connection to the cloud.

        An agent of another bundle does not inherit the state of the earlier one, such as its belief
        and its target controller.
        """
        self._offloader = GrpcOffloader(
            self._config.cloud,
            bundle.manifest,
            device_id=self._config.device_id,
            identity=self._config.identity,
        )
        self._agent = Agent(
            bundle,
            self._offloader,
            self._meter,
            deadline_ms=self._config.deadline_ms,
            journal=self._outbox,
            grow=self._grow,
            costs=self._costs,
            draw=self._draw,
            stream=Stream(
                source=self._config.source,
                gap_s=self._config.stream_gap_s,
                state=self._outbox.stream_state(),
            ),
        )

    def _grow(self, memory_bytes: int) -> LoadedBundle:
        """Return the bundle in use with the capacities that the budget admits.

        If the cloud delivers another release, that bundle is kept for the next input and
        DeliveryError is raised. DeliveryError is also raised while a new release is being
        installed.

        Args:
            memory_bytes: the memory budget, in bytes.
        """
        bundle = self._loader.grow(memory_bytes, held=self.bundle.held)
        if bundle.version != self.bundle.version:
            self._next = bundle
            raise DeliveryError(
                f"bundle {bundle.version} is installed", advice="it is used from the next input"
            )
        return bundle

    def _open_telemetry(self) -> Telemetry:
        config = TelemetryConfig(
            device_id=self._config.device_id,
            host=self._config.broker.host,
            port=self._config.broker.port,
            identity=self._config.identity,
        )
        return Telemetry(config, self._outbox, self._state)

    @property
    def bundle(self) -> LoadedBundle:
        """The bundle in use."""
        return self._agent.bundle

    @property
    def blobs(self) -> BlobStore:
        """The blob store of this device."""
        return self._blobs

    @property
    def bundle_bytes(self) -> int:
        """The number of bytes received so far while fetching bundles, without transport framing."""
        return self._source.bytes_received

    @property
    def telemetry_bytes(self) -> int:
        """The total size of the MQTT PUBLISH packets that telemetry has sent so far, in bytes."""
        return self._telemetry.bytes_sent

    @property
    def receipts_written(self) -> int:
        """The number of receipts stored in the outbox since it was created."""
        return self._outbox.marks().last

    def answer(
        self,
        index: int,
        window: Window,
        budget: Budget,
        origin: Origin = Origin(),  # noqa: B008 - immutable
    ) -> Receipt:
        """Answer one input, after switching to a new bundle if one is ready.

        A target share set in the console replaces the budget's targets, except a tolerated risk.

        Args:
            index: the position of the input in the source, from 0.
            window: the input, float32 in the task's shape and units.
            budget: the limits and targets for this input.
            origin: where the input came from, which is named again if its answer is revised.

        Returns:
            The receipt, already stored in the outbox.

        Raises:
            InputError: the input cannot be answered (as for `Agent.answer`); no receipt was stored.
            StorageError: the receipt could not be stored.
            DeliveryError: not even the smallest capacity can be read from the disk.
        """
        budget = with_share(budget, self._telemetry.target_share)
        self._switch_bundle(budget.memory_bytes)
        receipt = self._agent.answer(index, window, budget, origin)
        self._report(receipt.resident_capacity, budget)
        return receipt

    def catch_up(self, budget: Budget, *, hurry: bool = False) -> list[Revision]:
        """Ask the cloud about answered inputs that wait for it, if that is due.

        Call this after every answer, and now and then while there are no inputs.

        Args:
            budget: the limits and targets in force.
            hurry: whether to ask without waiting for more inputs; pauses and limits still apply.

        Returns:
            The follow-ups, already stored in the outbox.

        Raises:
            StorageError: the follow-ups could not be stored.
        """
        budget = with_share(budget, self._telemetry.target_share)
        found = self._agent.catch_up(budget, hurry=hurry)
        if found:
            self._report(self.bundle.nest.resident, budget)
        return found

    def _report(self, resident: int, budget: Budget) -> None:
        self._telemetry.set_gauges(
            gauges_of(self._agent, budget, profile=self._config.profile, resident=resident)
        )

    @property
    def guarantee(self) -> GuaranteeStatus | None:
        """The tolerated risk, and whether it is guaranteed, or None, as in `Agent.guarantee`."""
        return self._agent.guarantee

    def _switch_bundle(self, memory_bytes: int) -> None:
        """Switch to another bundle if one is ready, and start an installation if one is due.

        Args:
            memory_bytes: the memory budget of the next input, in bytes.
        """
        installed = self._updater.poll(
            desired=self._telemetry.desired_bundle,
            active=self.bundle.version,
            memory_bytes=memory_bytes,
        )
        bundle, self._next = installed or self._next, None
        if bundle is not None and bundle.version != self.bundle.version:
            _log.info("switching from bundle %s to %s", self.bundle.version, bundle.version)
            self._close_offloader()
            self._use(bundle)

    def _close_offloader(self) -> None:
        self._offloader.close()

    def abandon(self) -> None:
        """Cancel the current download and refuse later ones.

        Any thread may call this. If no bundle is installed yet, `__enter__` then raises
        SourceUnreachableError.
        """
        self._source.close()

    def flush(self, timeout_s: float) -> bool:
        """Wait until the cloud has acknowledged every receipt.

        Args:
            timeout_s: the longest wait, in seconds.

        Returns:
            True if every receipt was acknowledged in time.
        """
        return self._telemetry.flush(timeout_s)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End telemetry and close everything.

        Receipts that the cloud has not acknowledged stay in the outbox.
        """
        self._stack.__exit__(kind, error, trace)
