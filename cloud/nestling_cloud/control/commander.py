"""Tells devices what the console wishes and which bundle to run, within a second of a change."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import sqlalchemy as sa

from nestling.sparkplug_metrics import MetricValue
from nestling_cloud.bundles.repository import Repository, RepositoryError
from nestling_cloud.control.pending import DesiredMetrics, PendingChanges
from nestling_cloud.control.targets import Targets
from nestling_cloud.errors import CloudError
from nestling_cloud.store.database import cause_of
from nestling_cloud.telemetry.ingest import DeviceMessage
from nestling_core.parsing.throttled_log import fewer_repeats

_LOOK_S = 0.5

_LOG = logging.getLogger(__name__)

Send = Callable[[str, Mapping[str, MetricValue | None]], Awaitable[bool]]
"""Sends a device a command; False where it could not go out."""


class Commander:
    """Looks at wishes and releases, and sends each device what it does not know yet.

    Args:
        targets: of the console.
        repository: whose desired bundle the fleet should run.
    """

    def __init__(self, targets: Targets, repository: Repository) -> None:
        self._targets = targets
        self._repository = repository
        self._pending = PendingChanges()

    def hear(self, heard: DeviceMessage) -> None:
        """Take note of what a device said."""
        self._pending.hear(heard.device, heard.values, born=heard.born)

    async def run(self, send: Send) -> None:
        """Look and tell until cancelled."""
        with fewer_repeats(_LOG):
            while True:
                await self._look(send)
                await asyncio.sleep(_LOOK_S)

    async def _look(self, send: Send) -> None:
        try:
            words = await asyncio.to_thread(self._words, self._pending.devices())
            await self._tell(words, send)
        except (CloudError, OSError, sa.exc.SQLAlchemyError) as err:
            # A store or a folder that cannot be read just now.
            _LOG.warning("cannot read what to tell devices; trying again: %s", cause_of(err))
        except Exception:  # noqa: BLE001  whatever it is, devices are told again when it is over
            _LOG.warning("cannot send devices their commands; trying again", exc_info=True)

    def _words(self, devices: Sequence[str]) -> dict[str, DesiredMetrics]:
        target, version = self._targets.for_devices(devices), self._desired_version()
        return {device: DesiredMetrics(target[device], version) for device in devices}

    def _desired_version(self) -> str:
        try:
            desired = self._repository.desired()
        except RepositoryError as err:
            _LOG.warning("devices are told of no bundle: %s", err)
            return ""
        return desired.bundle_version if desired else ""

    async def _tell(self, words: Mapping[str, DesiredMetrics], send: Send) -> None:
        for device, word in words.items():
            due = self._pending.due(device, word, now_s=time.monotonic())
            if not due:
                continue
            self._pending.sent(device, due, now_s=time.monotonic())
            if not await send(device, due):
                self._pending.not_sent(device)
