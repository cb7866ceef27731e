"""Sparkplug metrics: their names and types, and setters and getters for a payload."""

from nestling.sparkplug.v1 import payload_pb2

BD_SEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"
RECEIPTS = "Nestling/Receipts"
ACKNOWLEDGED = "Nestling/Outbox Acknowledged"
PROFILE = "Nestling/Profile"
BUNDLE_VERSION = "Nestling/Bundle Version"
CAPACITY = "Nestling/Capacity"
BATTERY = "Nestling/Battery"
OUTBOX_DEPTH = "Nestling/Outbox Depth"
# Whether inputs are harder than those that the bundle's thresholds and promises were read off.
DRIFTING = "Nestling/Drifting"
# The offload share in force, null where another target decides.
OFFLOAD_SHARE = "Nestling/Offload Share"
# What a command writes, and a device reports back as confirmation: the offload share that the
# console asks for, null for the device's own setting, and the bundle version that it should run.
OFFLOAD_TARGET = "Nestling/Offload Target"
DESIRED_BUNDLE = "Nestling/Desired Bundle"

# Where the value does not say it, or may be missing.
_DATA_TYPES = {
    BD_SEQ: payload_pb2.DATA_TYPE_INT64,
    RECEIPTS: payload_pb2.DATA_TYPE_BYTES,
    ACKNOWLEDGED: payload_pb2.DATA_TYPE_BYTES,
    DRIFTING: payload_pb2.DATA_TYPE_BOOLEAN,
    OFFLOAD_SHARE: payload_pb2.DATA_TYPE_DOUBLE,
    OFFLOAD_TARGET: payload_pb2.DATA_TYPE_DOUBLE,
    DESIRED_BUNDLE: payload_pb2.DATA_TYPE_STRING,
}

MetricValue = bool | int | float | str | bytes
Metric = payload_pb2.Payload.Metric


def metric(
    name: str, value: MetricValue | None, *, timestamp_ms: int, alias: int | None = None
) -> Metric:
    """Make a metric as certificates define it, with its data type.

    Args:
        name: the metric's name.
        value: bool, non-negative int (UInt64), float (Double), str or bytes; None for null, which
            only our own metrics may be.
        timestamp_ms: Unix time.
        alias: number that later messages use instead of the name.

    Raises:
        KeyError: null for a metric whose type is not known.
    """
    made = update(value, timestamp_ms=timestamp_ms, name=name, alias=alias)
    made.datatype = _DATA_TYPES[name] if value is None else _DATA_TYPES.get(name, _type_of(value))
    return made


def update(
    value: MetricValue | None, *, timestamp_ms: int, name: str = "", alias: int | None = None
) -> Metric:
    """Make a metric of a data message or a command: its birth certificate gave the data type.

    Args:
        value: as for `metric`.
        timestamp_ms: Unix time.
        name: the metric's name, where its birth certificate gave no alias.
        alias: the number that it gave.
    """
    made = Metric(timestamp=timestamp_ms)
    if name:
        made.name = name
    if alias is not None:
        made.alias = alias
    if value is None:
        made.is_null = True
    elif isinstance(value, bool):
        made.boolean_value = value
    elif isinstance(value, int):
        made.long_value = value
    elif isinstance(value, float):
        made.double_value = value
    elif isinstance(value, str):
        made.string_value = value
    else:
        made.bytes_value = value
    return made


def _type_of(value: MetricValue) -> "payload_pb2.DataType.ValueType":
    if isinstance(value, bool):
        return payload_pb2.DATA_TYPE_BOOLEAN
    if isinstance(value, int):
        return payload_pb2.DATA_TYPE_UINT64
    if isinstance(value, float):
        return payload_pb2.DATA_TYPE_DOUBLE
    return payload_pb2.DATA_TYPE_STRING if isinstance(value, str) else payload_pb2.DATA_TYPE_BYTES


def metric_value(given: Metric) -> MetricValue | None:
    """Value of a metric, None if it is null."""
    kind = given.WhichOneof("value")
    if given.is_null or kind is None:
        return None
    value: MetricValue = getattr(given, kind)
    return value
