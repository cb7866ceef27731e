"""The offload shares that somebody wishes for devices, with who wished what and when."""

import math
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from nestling import topics
from nestling_cloud.errors import CloudError
from nestling_cloud.store import tables
from nestling_cloud.store.store import Store

_LONGEST_NAME = 200


class WishError(CloudError):
    """A wish that no device can fulfil."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One change of what is wished.

    Attributes:
        device: for whom; None for the whole fleet.
        share: of inputs to send to the cloud, 0 to 1; None takes an earlier wish back.
        wished_by: who.
        wished_at_ms: when.
    """

    device: str | None
    share: float | None
    wished_by: str
    wished_at_ms: int


class Wishes:
    """Wished offload shares. A device's own goes before the fleet's; without either it decides."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set(self, device: str | None, share: float | None, *, wished_by: str) -> Wish:
        """Wish a share, or take a wish back.

        Args:
            device: for whom; None for every device without a wish of its own.
            share: 0 to 1; None takes the wish back.
            wished_by: who wishes it.

        Returns:
            What was written down.

        Raises:
            WishError: no share, no device id, or no name.
        """
        wish = Wish(
            device=device, share=share, wished_by=wished_by, wished_at_ms=time.time_ns() // 10**6
        )
        _check(wish)
        key = tables.FLEET if device is None else device
        with self._store.writing() as connection:
            connection.execute(sa.delete(tables.WISHES).where(tables.WISHES.c.device == key))
            if share is not None:
                row = {"device": key, "offload_share": share}
                connection.execute(sa.insert(tables.WISHES).values(row))
            connection.execute(
                sa.insert(tables.WISH_LOG).values(
                    device=key,
                    offload_share=share,
                    wished_by=wish.wished_by,
                    wished_at_ms=wish.wished_at_ms,
                )
            )
        return wish

    def for_device(self, device: str) -> float | None:
        """Share wished for a device: its own, else the fleet's, else None."""
        own_first = sa.desc(tables.WISHES.c.device)  # "" sorts before every name
        query = (
            sa.select(tables.WISHES.c.offload_share)
            .where(tables.WISHES.c.device.in_([device, tables.FLEET]))
            .order_by(own_first)
        )
        with self._store.reading() as connection:
            share: float | None = connection.execute(query.limit(1)).scalar()
        return share

    def for_devices(self, devices: Iterable[str]) -> dict[str, float | None]:
        """Shares wished for several devices, as `for_device`."""
        query = sa.select(tables.WISHES.c.device, tables.WISHES.c.offload_share)
        with self._store.reading() as connection:
            wished = {row.device: row.offload_share for row in connection.execute(query)}
        return {device: wished.get(device, wished.get(tables.FLEET)) for device in devices}

    def for_fleet(self) -> float | None:
        """Share wished for every device without a wish of its own."""
        return self.for_device(tables.FLEET)

    def log(self, *, devices: Collection[str | None] | None = None, limit: int = 100) -> list[Wish]:
        """Last changes, the newest first.

        Args:
            devices: whose wishes alone, None among them being the fleet's; without, everybody's.
            limit: most changes.
        """
        columns = tables.WISH_LOG.c
        query = sa.select(tables.WISH_LOG).order_by(columns.id.desc()).limit(limit)
        if devices is not None:
            keys = [tables.FLEET if device is None else device for device in devices]
            query = query.where(columns.device.in_(keys))
        with self._store.reading() as connection:
            return [
                Wish(
                    device=row.device or None,
                    share=row.offload_share,
                    wished_by=row.wished_by,
                    wished_at_ms=row.wished_at_ms,
                )
                for row in connection.execute(query)
            ]


def _check(wish: Wish) -> None:
    if wish.device is not None:
        try:
            topics.check_device_id(wish.device)
        except ValueError as err:
            raise WishError(str(err)) from err
    if wish.share is not None and not (math.isfinite(wish.share) and 0 <= wish.share <= 1):
        raise WishError(f"offload share {wish.share} is not between 0 and 1")
    if not 1 <= len(wish.wished_by) <= _LONGEST_NAME or "\0" in wish.wished_by:
        raise WishError(f"a name of 1 to {_LONGEST_NAME} characters is needed for who wishes")
