"""Tells devices what the console wishes and which bundle to run, within a second of a change."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from nestling.metrics import Metric
from nestling_cloud.bundles.repository import Repository, RepositoryError
from nestling_cloud.fleet.briefing import Briefing, Word
from nestling_cloud.fleet.wishes import Wishes

_LOOK_S = 0.5

_LOG = logging.getLogger(__name__)

Send = Callable[[str, Sequence[Metric]], Awaitable[bool]]
"""Publishes a command to a device; False while there is no connection to the broker."""


class Commander:
    """Looks at wishes and releases, and sends each connected device what it does not know yet.

    Args:
        wishes: of the console.
        repository: whose desired bundle the fleet should run.
        send: publishes a command.
    """

    def __init__(self, wishes: Wishes, repository: Repository, send: Send) -> None:
        self._wishes = wishes
        self._repository = repository
        self._send = send
        self._briefing = Briefing()

    def born(self, device: str) -> None:
        """Take note of a birth certificate."""
        self._briefing.born(device)

    def died(self, device: str) -> None:
        """Take note of a death certificate."""
        self._briefing.died(device)

    async def run(self) -> None:
        """Look and tell until cancelled."""
        while True:
            try:
                devices, words = await asyncio.to_thread(self._words)
                await self._tell(devices, words)
            except Exception:  # noqa: BLE001  a store or a folder that cannot be read just now
                _LOG.exception("could not look what devices have to be told; looking again")
            await asyncio.sleep(_LOOK_S)

    def _words(self) -> tuple[list[str], Mapping[str, Word]]:
        devices = self._briefing.connected()
        wished = self._wishes.for_devices(devices)
        version = self._desired_version()
        return devices, {device: Word(wished[device], version) for device in devices}

    def _desired_version(self) -> str:
        try:
            desired = self._repository.desired()
        except RepositoryError as err:
            _LOG.warning("%s", err)
            return ""
        return desired.bundle_version if desired else ""

    async def _tell(self, devices: Sequence[str], words: Mapping[str, Word]) -> None:
        now_ms = time.time_ns() // 1_000_000
        for device in devices:
            due = self._briefing.due(device, words[device], now_ms=now_ms)
            if due and await self._send(device, due):
                self._briefing.told(device, words[device])
