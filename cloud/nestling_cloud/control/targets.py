"""The offload shares that somebody wishes for devices, with who wished what and when."""

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
    """A target that no device can fulfil."""


@dataclass(frozen=True, kw_only=True)
class TargetChange:
    """One change of a target.

    Attributes:
        device: for whom; None for the whole fleet.
        share: of inputs to send to the cloud, 0 to 1; None takes an earlier wish back.
        set_by: who.
        set_at_ms: when.
    """

    device: str | None
    share: float | None
    set_by: str
    set_at_ms: int


class Targets:
    """Target offload shares. A device's own goes before the fleet's; without either it decides."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set(self, device: str | None, share: float | None, *, set_by: str) -> TargetChange:
        """Set a target share, or remove it.

        Args:
            device: for whom; None for every device without a target of its own.
            share: 0 to 1; None removes the target.
            set_by: who sets it.

        Returns:
            What was written down.

        Raises:
            TargetError: no share, no device id, or no name.
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

    def for_device(self, device: str) -> float | None:
        """Target share of a device: its own, otherwise the fleet's, otherwise None."""
        own_first = sa.desc(tables.TARGETS.c.device)  # "" sorts before every name
        query = (
            sa.select(tables.TARGETS.c.offload_share)
            .where(tables.TARGETS.c.device.in_([device, tables.FLEET]))
            .order_by(own_first)
        )
        with self._store.reading() as connection:
            share: float | None = connection.execute(query.limit(1)).scalar()
        return share

    def for_devices(self, devices: Iterable[str]) -> dict[str, float | None]:
        """Target shares of several devices, each as by `for_device`."""
        query = sa.select(tables.TARGETS.c.device, tables.TARGETS.c.offload_share)
        with self._store.reading() as connection:
            shares = {row.device: row.offload_share for row in connection.execute(query)}
        return {device: shares.get(device, shares.get(tables.FLEET)) for device in devices}

    def for_fleet(self) -> float | None:
        """Target share of every device without a target of its own."""
        return self.for_device(tables.FLEET)

    def log(
        self, *, devices: Collection[str | None] | None = None, limit: int = 100
    ) -> list[TargetChange]:
        """Last changes, the newest first.

        Args:
            devices: return only their changes; None among them stands for the fleet.
            limit: most changes.
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
        raise TargetError(f"name who sets the target, in 1 to {_LONGEST_NAME} characters")
