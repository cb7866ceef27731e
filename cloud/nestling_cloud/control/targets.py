"""Stores target offload shares, and logs their changes.

A target offload share is the share of inputs that a device should send to the cloud. The log says
who changed which target, and when.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from nestling import topics
from nestling_cloud.errors import CloudError
from nestling_cloud.store import tables
from nestling_cloud.store.store import Store
from nestling_core.clock import unix_ms

_LONGEST_NAME = 200


class TargetError(CloudError):
    """Raised when a target cannot be set because of its share, its device id or its author."""


@dataclass(frozen=True, kw_only=True)
class TargetChange:
    """One change of a target offload share.

    Attributes:
        device: the id of the device; None for the fleet, that is, every device without its own
            target.
        share: the share of inputs to send to the cloud, from 0 to 1; None if the target was
            removed.
        set_by: the name of the person or program that changed the target.
        set_at_ms: the Unix time of the change.
    """

    device: str | None
    share: float | None
    set_by: str
    set_at_ms: int


class Targets:
    """Reads and changes the target offload shares of the fleet and of individual devices.

    A device's own target overrides the fleet's. If neither is set, the device's own configuration
    applies.

    Args:
        store: the store with the targets and the log of their changes.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def set(self, device: str | None, share: float | None, *, set_by: str) -> TargetChange:
        """Set or remove a target share, and log the change.

        Args:
            device: the id of the device; None for the fleet, that is, every device without its own
                target.
            share: the share of inputs to send to the cloud, from 0 to 1; None removes the target.
            set_by: the name of the person or program that sets the target, for the log.

        Returns:
            The change as it was logged.

        Raises:
            TargetError: the share is not between 0 and 1, the device id is not valid, or `set_by`
                is empty, too long, or contains a NUL.
        """
        target = TargetChange(device=device, share=share, set_by=set_by, set_at_ms=unix_ms())
        _check(target)
        key = tables.FLEET if device is None else device
        with self._store.writing() as connection:
            connection.execute(sa.delete(tables.TARGETS).where(tables.TARGETS.c.device == key))
            if share is not None:
                row = {"device": key, "offload_share": share}
                connection.execute(sa.insert(tables.TARGETS).values(row))
            connection.execute(
                sa.insert(tables.TARGET_LOG).values(
                    device=key,
                    offload_share=share,
                    set_by=target.set_by,
                    set_at_ms=target.set_at_ms,
                )
            )
        return target

    def for_device(self, device: str | None) -> float | None:
        """Return the target share that applies to a device, or None if there is none.

        A device's own target takes precedence over the fleet's. If `device` is None, the result is
        the fleet's target share.
        """
        own_first = sa.desc(tables.TARGETS.c.device)  # "" sorts before every name
        query = (
            sa.select(tables.TARGETS.c.offload_share)
            .where(tables.TARGETS.c.device.in_([device or tables.FLEET, tables.FLEET]))
            .order_by(own_first)
        )
        with self._store.reading() as connection:
            share: float | None = connection.execute(query.limit(1)).scalar()
        return share

    def for_devices(self, devices: Iterable[str]) -> dict[str, float | None]:
        """Return a mapping from each device's id to the share that `for_device` returns."""
        query = sa.select(tables.TARGETS.c.device, tables.TARGETS.c.offload_share)
        with self._store.reading() as connection:
            shares = {row.device: row.offload_share for row in connection.execute(query)}
        return {device: shares.get(device, shares.get(tables.FLEET)) for device in devices}

    def log(
        self, *, devices: Collection[str | None] | None = None, limit: int = 100
    ) -> list[TargetChange]:
        """Return the latest changes, newest first.

        Args:
            devices: the ids of the devices whose changes to return, where an id of None stands for
                the fleet. If `devices` is None, the changes of all devices and the fleet are
                returned.
            limit: the largest number of changes to return.
        """
        columns = tables.TARGET_LOG.c
        query = sa.select(tables.TARGET_LOG).order_by(columns.id.desc()).limit(limit)
        if devices is not None:
            keys = [tables.FLEET if device is None else device for device in devices]
            query = query.where(columns.device.in_(keys))
        with self._store.reading() as connection:
            return [
                TargetChange(
                    device=row.device or None,
                    share=row.offload_share,
                    set_by=row.set_by,
                    set_at_ms=row.set_at_ms,
                )
                for row in connection.execute(query)
            ]


def _check(target: TargetChange) -> None:
    if target.device is not None:
        try:
            topics.check_device_id(target.device)
        except ValueError as err:
            raise TargetError(str(err)) from err
    if target.share is not None and not (math.isfinite(target.share) and 0 <= target.share <= 1):
        raise TargetError(f"offload share {target.share} is not between 0 and 1")
    if not 1 <= len(target.set_by) <= _LONGEST_NAME or "\0" in target.set_by:
        raise TargetError(
            f"`set_by` names who sets the target: use 1 to {_LONGEST_NAME} characters"
        )
