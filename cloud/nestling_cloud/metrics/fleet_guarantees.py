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
        guaranteed_since_ms: the latest Unix time at which the risk became guaranteed on one of the
            `guaranteed` devices; None if there are none.
        inputs_to_go: the largest number of further inputs until the risk is guaranteed, as
            estimated by the devices on which it is not; None if none of them has an estimate.
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
