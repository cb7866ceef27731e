"""Reads the facts that the health rules need, and shares them among all open pages."""

import asyncio
from collections.abc import Callable, Coroutine

import sqlalchemy as sa

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.console.data.chart_tables import CLOUD
from nestling_cloud.console.data.health import (
    Finding,
    Offloads,
    Snapshot,
    device_findings,
    fleet_findings,
    store_finding,
)
from nestling_cloud.console.data.live_figures import LiveFigures, TimedCache
from nestling_cloud.console.data.stored_rounds import StoredRounds
from nestling_cloud.console.data.time_spans import SPANS
from nestling_cloud.metrics.figures import Totals
from nestling_cloud.metrics.fleet_health import device_losses, fleet_condition
from nestling_cloud.store.store import Store
from nestling_cloud.telemetry.ingest_status import ReadUplink
from nestling_core.clock import unix_ms

_FRESH_S = 0.9
_RECENT = SPANS["5m"]

Findings = tuple[Finding, ...]


class HealthFacts:
    """Finds what is wrong with the cloud, its fleet and its devices.

    Args:
        store: the store that holds the receipts.
        repository: the repository that holds the released bundles.
        rounds: the reader of federated rounds.
        live: the source of recent figures and of the current time.
        uplink: a function that returns the status of the ingest, which receives what devices send.
    """

    def __init__(
        self,
        store: Store,
        repository: Repository,
        rounds: StoredRounds,
        live: LiveFigures,
        uplink: ReadUplink,
    ) -> None:
        self._store = store
        self._repository = repository
        self._rounds = rounds
        self._live = live
        self._uplink = uplink
        self._snapshot: TimedCache[Snapshot] = TimedCache()

    async def of_fleet(self) -> Findings:
        """Return the problems of the cloud and the fleet, worst first."""
        return await self._or_store_finding(self._of_fleet)

    async def of_device(self, device: str) -> Findings:
        """Return the problems of a device and the cloud, worst first.

        For a device that has never reported, return the problems of the cloud and the fleet.
        """

        async def read() -> Findings:
            row = await self._live.row(device)
            if row is None:
                return await self._of_fleet()
            losses = await asyncio.to_thread(device_losses, self._store, device)
            return device_findings(await self._now(), row, losses)

        return await self._or_store_finding(read)

    async def _of_fleet(self) -> Findings:
        return fleet_findings(await self._now())

    async def _or_store_finding(
        self, read: Callable[[], Coroutine[None, None, Findings]]
    ) -> Findings:
        try:
            return await read()
        except sa.exc.SQLAlchemyError as err:
            return (store_finding(err),)

    async def _now(self) -> Snapshot:
        offloads = _offloads((await self._live.fleet(_RECENT)).totals)
        return await self._snapshot.get("now", _FRESH_S, lambda: self._read(offloads))

    def _read(self, offloads: Offloads) -> Snapshot:
        desired, quick, release_fault = self._released()
        last = self._rounds.latest(1)
        return Snapshot(
            now_ms=unix_ms(),
            uplink=self._uplink(),
            fleet=fleet_condition(self._store),
            desired=desired,
            quick=quick,
            release_fault=release_fault,
            offloads=offloads,
            last_round=last[-1] if last else None,
        )

    def _released(self) -> tuple[str, bool, str]:
        """Return the version of the bundle, whether it is quick, and why it cannot be read."""
        try:
            quick = self._repository.manifest().quick
            desired = self._repository.desired()
        except (RepositoryError, OSError) as err:
            return "", False, str(err)
        return desired.bundle_version if desired else "", quick, ""


def _offloads(totals: Totals) -> Offloads:
    answered = sum(entry.answers for entry in totals.routes if entry.route == CLOUD)
    return Offloads(answered=answered, fallbacks=totals.fallbacks)
