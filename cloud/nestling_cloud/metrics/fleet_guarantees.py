"""Counts the devices on which a tolerated risk is guaranteed."""

from dataclasses import dataclass

import sqlalchemy as sa

from nestling_cloud.store import tables


@dataclass(frozen=True, kw_only=True)
class FleetGuarantees:
    """What the devices of a fleet last reported about their tolerated risks.

    Attributes:
        tolerating: the number of devices that have a tolerated risk.
        guaranteed: the number of these devices on which the risk is guaranteed.
        alarmed: the number of these devices that found the risk exceeded at least once.
        guaranteed_since_ms: the Unix time since which the risk has been guaranteed on all devices
            on which it is now; None if there are none.
        inputs_to_go: about how many more inputs it takes until the risk is guaranteed on the
            slowest of the other devices that can foresee it; None if none can.
    """

    tolerating: int = 0
    guaranteed: int = 0
    alarmed: int = 0
    guaranteed_since_ms: int | None = None
    inputs_to_go: int | None = None


def fleet_guarantees(connection: sa.Connection) -> FleetGuarantees:
    """Return what the devices last reported about their tolerated risks.

    Args:
        connection: a connection to the store.
    """
    device = tables.DEVICES.c
    since_ms, counted = device.guaranteed_since_ms, sa.func.count()
    query = sa.select(
        counted.label("tolerating"),
        counted.filter(since_ms.is_not(None)).label("guaranteed"),
        counted.filter(device.guarantee_alarms > 0).label("alarmed"),
        sa.func.max(since_ms).label("guaranteed_since_ms"),
        sa.func.max(device.inputs_to_go).filter(since_ms.is_(None)).label("inputs_to_go"),
    ).where(device.tolerated_risk.is_not(None))
    return FleetGuarantees(**connection.execute(query).mappings().one())
