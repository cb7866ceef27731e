"""Takes removed devices for offline: the broker keeps their last word from us."""

import asyncio
import logging

import sqlalchemy as sa

from nestling_cloud.errors import CloudError
from nestling_cloud.fleet.roster import Roster
from nestling_cloud.store import device_registry
from nestling_cloud.store.store import Store

_LOOK_S = 0.5

_LOG = logging.getLogger(__name__)


async def end_removed(roster: Roster, store: Store) -> None:
    """Follow the roster until cancelled.

    Args:
        roster: of the devices that may speak.
        store: with the registry of devices.
    """
    seen = -1
    while True:
        try:
            revision = await asyncio.to_thread(roster.revision)
            if revision != seen:
                await asyncio.to_thread(_end, roster, store)
                seen = revision
        except (CloudError, sa.exc.SQLAlchemyError) as err:
            _LOG.warning("could not look for removed devices: %s", err)
        await asyncio.sleep(_LOOK_S)


def _end(roster: Roster, store: Store) -> None:
    removed = [member.name for member in roster.members() if member.snapshot == "removed"]
    with store.writing() as connection:
        device_registry.end(connection, removed)
