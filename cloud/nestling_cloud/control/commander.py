"""Sends settings to devices within a second of a change.

The settings are a device's target offload share and the version of the desired bundle.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import sqlalchemy as sa

from nestling.sparkplug_metrics import MetricValue
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.control.pending_changes import DesiredMetrics, PendingChanges
from nestling_cloud.control.targets import Targets
from nestling_cloud.errors import CloudError
from nestling_cloud.store.database import cause_of
from nestling_core.parsing.throttled_log import fewer_repeats

_POLL_S = 0.5

_LOG = logging.getLogger(__name__)

Send = Callable[[str, Mapping[str, MetricValue | None]], Awaitable[bool]]
"""Sends a command to a device, and returns whether the command was sent."""


class Commander:
    """Sends each device the settings that the device does not have yet.

    To find out what has changed, it reads the targets and the version of the desired bundle twice a
    second.

    Attributes:
        pending: the object that decides which settings each device still has to receive, from the
            settings that the device reported.

    Args:
        targets: the target offload shares.
        repository: the repository with the desired bundle of the fleet.
    """

    def __init__(self, targets: Targets, repository: Repository) -> None:
        self._targets = targets
        self._repository = repository
        self.pending = PendingChanges()

    async def run(self, send: Send) -> None:
        """Send changed settings to devices until cancelled.

        Args:
            send: the function that sends a command to a device.
        """
        with fewer_repeats(_LOG):
            while True:
                await self._poll(send)
                await asyncio.sleep(_POLL_S)

    async def _poll(self, send: Send) -> None:
        try:
            desired = await asyncio.to_thread(self._read_desired, self.pending.devices())
            await self._send_commands(desired, send)
        except (CloudError, OSError, sa.exc.SQLAlchemyError) as err:
            # The store or a folder may be unreadable for a while.
            _LOG.warning(
                "cannot read the settings to send to devices; trying again: %s", cause_of(err)
            )
        except Exception:  # noqa: BLE001  one failure must not end the loop
            _LOG.warning("cannot send commands to devices; trying again", exc_info=True)

    def _read_desired(self, devices: Sequence[str]) -> dict[str, DesiredMetrics]:
        shares, version = self._targets.for_devices(devices), self._desired_version()
        return {device: DesiredMetrics(shares[device], version) for device in devices}

    def _desired_version(self) -> str:
        try:
            desired = self._repository.desired()
        except RepositoryError as err:
            _LOG.warning("cannot read the desired bundle, so devices receive none: %s", err)
            return ""
        return desired.bundle_version if desired else ""

    async def _send_commands(self, desired: Mapping[str, DesiredMetrics], send: Send) -> None:
        for device, metrics in desired.items():
            due = self.pending.due(device, metrics, now_s=time.monotonic())
            if not due:
                continue
            self.pending.sent(device, due, now_s=time.monotonic())
            if not await send(device, due):
                self.pending.not_sent(device)
