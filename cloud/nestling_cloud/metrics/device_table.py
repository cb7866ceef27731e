"""Builds the SQL queries for the table of devices."""

from typing import Any

import sqlalchemy as sa

from nestling_cloud.metrics.views import DeviceRow
from nestling_cloud.store import tables

_FLEET_TARGET = tables.TARGETS.alias("fleet_target")
_OWN_TARGET = tables.TARGETS.alias("own_target")
_DEVICE = tables.DEVICES.c
_COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    "device": _DEVICE.device,
    "profile": sa.func.coalesce(_DEVICE.profile, ""),
    "online": sa.func.coalesce(_DEVICE.online, sa.false()),
    "last_seen_ms": _DEVICE.last_seen_ms,
    "bundle_version": sa.func.coalesce(_DEVICE.bundle_version, ""),
    "capacity": sa.func.coalesce(_DEVICE.capacity, 0),
    "battery": sa.func.coalesce(_DEVICE.battery, 0.0),
    "outbox_depth": sa.func.coalesce(_DEVICE.outbox_depth, 0),
    "offload_share": _DEVICE.offload_share,
    "target_share": sa.func.coalesce(_OWN_TARGET.c.offload_share, _FLEET_TARGET.c.offload_share),
    "drifting": _DEVICE.drifting,
    "pending": sa.func.coalesce(_DEVICE.pending, 0),
    "tolerated_risk": _DEVICE.tolerated_risk,
    "guaranteed_since_ms": _DEVICE.guaranteed_since_ms,
    "inputs_to_go": _DEVICE.inputs_to_go,
    "guarantee_alarms": _DEVICE.guarantee_alarms,
    "answers": _DEVICE.answers,
}


def device_rows(*, order_by: str = "device", descending: bool = False) -> sa.Select[Any]:
    """Build a query that selects all devices.

    The function `device_row` converts the rows that the query returns.

    Args:
        order_by: the field of `DeviceRow` to sort by. Devices with the same value are sorted by
            id, and devices without a value come last.
        descending: whether the largest value comes first.

    Raises:
        ValueError: `order_by` is not a field of `DeviceRow`.
    """
    if order_by not in _COLUMNS:
        raise ValueError(f"{order_by!r} is not one of {', '.join(_COLUMNS)}")
    column = _COLUMNS[order_by]
    order = column.desc() if descending else column.asc()
    own = tables.DEVICES.outerjoin(_OWN_TARGET, _OWN_TARGET.c.device == _DEVICE.device)
    both = own.outerjoin(_FLEET_TARGET, _FLEET_TARGET.c.device == tables.FLEET)
    columns = (column.label(name) for name, column in _COLUMNS.items())
    return sa.select(*columns).select_from(both).order_by(order.nulls_last(), _DEVICE.device)


def device_row(row: "sa.Row[Any]") -> DeviceRow:
    """Return the `DeviceRow` for a row in the result of a `device_rows` query."""
    values = dict(zip(_COLUMNS, row, strict=True))
    return DeviceRow(**{**values, "online": bool(values["online"])})


def matching(search: str) -> sa.ColumnElement[bool]:
    """Return the SQL condition that a device's id, profile or bundle version contains a string.

    The comparison ignores case. An empty string matches every device.
    """
    if not search:
        return sa.true()
    columns = (_COLUMNS[name] for name in ("device", "profile", "bundle_version"))
    return sa.or_(*(column.icontains(search, autoescape=True) for column in columns))
