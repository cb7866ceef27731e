"""Marks removed devices as offline.

The broker does not deliver the death certificate of a removed device (Sparkplug's message that the
connection ended), so no message reports that the device went offline.
"""

import asyncio
import logging

import sqlalchemy as sa

from nestling_cloud.errors import CloudError
from nestling_cloud.fleet.roster import Roster
from nestling_cloud.store import device_registry
from nestling_cloud.store.store import Store

_POLL_S = 0.5

_LOG = logging.getLogger(__name__)


async def mark_removed_offline(roster: Roster, store: Store) -> None:
    """Mark devices as offline once they are removed from the roster, until cancelled.

    Args:
        roster: the roster of the devices that may connect.
        store: the store with the registry of devices.
    """
    known_revision = -1
    while True:
        try:
            revision = await asyncio.to_thread(roster.revision)
            if revision != known_revision:
                await asyncio.to_thread(_mark_offline, roster, store)
                known_revision = revision
        except (CloudError, sa.exc.SQLAlchemyError) as err:
            _LOG.warning("cannot look for removed devices; trying again: %s", err)
        await asyncio.sleep(_POLL_S)


def _mark_offline(roster: Roster, store: Store) -> None:
    removed = [member.name for member in roster.members() if member.status == "removed"]
    with store.writing() as connection:
        device_registry.end(connection, removed)
