"""Sparkplug metrics: their names, and typed setters and getters for a payload."""

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
# Whether inputs are harder than those that the bundle's prices and promises were read off.
DRIFTING = "Nestling/Drifting"
# In a birth or data message: the share in force. In a command: the share wished, null for the
# device's own setting.
OFFLOAD_SHARE = "Nestling/Offload Share"
# In a command: the bundle version that the device should run.
DESIRED_BUNDLE = "Nestling/Desired Bundle"

MetricValue = bool | int | float | str | bytes
Metric = payload_pb2.Payload.Metric


def metric(name: str, value: MetricValue, *, timestamp_ms: int, alias: int | None = None) -> Metric:
    """Make one Sparkplug metric; its data type follows from the Python type of `value`.

    Args:
        name: the metric's name; empty where a birth certificate has given an alias.
        value: bool, non-negative int (UInt64), float (Double), str or bytes.
        timestamp_ms: Unix time.
        alias: number that later messages may use instead of the name.
    """
    made = Metric(timestamp=timestamp_ms)
    if name:
        made.name = name
    if alias is not None:
        made.alias = alias
    if isinstance(value, bool):
        made.datatype, made.boolean_value = payload_pb2.DATA_TYPE_BOOLEAN, value
    elif isinstance(value, int):
        made.datatype, made.long_value = payload_pb2.DATA_TYPE_UINT64, value
    elif isinstance(value, float):
        made.datatype, made.double_value = payload_pb2.DATA_TYPE_DOUBLE, value
    elif isinstance(value, str):
        made.datatype, made.string_value = payload_pb2.DATA_TYPE_STRING, value
    else:
        made.datatype, made.bytes_value = payload_pb2.DATA_TYPE_BYTES, value
    return made


def metric_value(given: Metric) -> MetricValue | None:
    """Value of a metric, None if it is null."""
    kind = given.WhichOneof("value")
    if given.is_null or kind is None:
        return None
    value: MetricValue = getattr(given, kind)
    return value
