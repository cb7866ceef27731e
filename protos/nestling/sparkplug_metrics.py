"""Defines the names and types of the Sparkplug metrics, and creates and reads such metrics."""

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
# Whether inputs are harder than those that the bundle's thresholds and guarantees were fitted on.
DRIFTING = "Nestling/Drifting"
# Target offload share in force, null where another target decides.
OFFLOAD_SHARE = "Nestling/Offload Share"
# Inputs that the device has answered, and that the cloud is still to be asked about.
PENDING = "Nestling/Pending"
# Tolerated risk in force, the Unix time in ms since which it is guaranteed, and about how many
# inputs are missing until it is. Each is null where it does not apply or is unknown.
TOLERATED_RISK = "Nestling/Tolerated Risk"
GUARANTEED_SINCE = "Nestling/Guaranteed Since"
INPUTS_TO_GO = "Nestling/Inputs To Go"
# How often the risk in force was found to be exceeded, so that certifying it started over; null
# without a tolerated risk.
GUARANTEE_ALARMS = "Nestling/Guarantee Alarms"
# The next two are written by a command and reported back by the device as confirmation: the
# offload share that the console asks for (null for the device's own setting), and the bundle
# version that the device should run.
OFFLOAD_TARGET = "Nestling/Offload Target"
DESIRED_BUNDLE = "Nestling/Desired Bundle"

# Data types of the metrics whose value may be null or does not determine its type.
_DATA_TYPES = {
    BD_SEQ: payload_pb2.DATA_TYPE_INT64,
    RECEIPTS: payload_pb2.DATA_TYPE_BYTES,
    ACKNOWLEDGED: payload_pb2.DATA_TYPE_BYTES,
    DRIFTING: payload_pb2.DATA_TYPE_BOOLEAN,
    OFFLOAD_SHARE: payload_pb2.DATA_TYPE_DOUBLE,
    OFFLOAD_TARGET: payload_pb2.DATA_TYPE_DOUBLE,
    TOLERATED_RISK: payload_pb2.DATA_TYPE_DOUBLE,
    GUARANTEED_SINCE: payload_pb2.DATA_TYPE_UINT64,
    INPUTS_TO_GO: payload_pb2.DATA_TYPE_UINT64,
    GUARANTEE_ALARMS: payload_pb2.DATA_TYPE_UINT64,
    DESIRED_BUNDLE: payload_pb2.DATA_TYPE_STRING,
}

MetricValue = bool | int | float | str | bytes
Metric = payload_pb2.Payload.Metric


def metric(
    name: str, value: MetricValue | None, *, timestamp_ms: int, alias: int | None = None
) -> Metric:
    """Return a metric that states its data type, as birth and death certificates require.

    Args:
        name: the metric's name.
        value: a bool, a non-negative int (UInt64 unless the name implies another type), a float
            (Double), a str or bytes. None stands for null, and is allowed only if the name implies
            the type.
        timestamp_ms: the Unix time of the value in milliseconds.
        alias: the number that later messages use instead of the name.

    Raises:
        KeyError: the value is null, and the name does not imply the metric's type.
    """
    entry = update(value, timestamp_ms=timestamp_ms, name=name, alias=alias)
    entry.datatype = _DATA_TYPES[name] if value is None else _DATA_TYPES.get(name, _type_of(value))
    return entry


def update(
    value: MetricValue | None, *, timestamp_ms: int, name: str = "", alias: int | None = None
) -> Metric:
    """Return a metric without a data type, for a data message or a command.

    A receiver knows the data type from the birth certificate.

    Args:
        value: the value, as for `metric`.
        timestamp_ms: the Unix time of the value in milliseconds.
        name: the metric's name, if the birth certificate has no alias for the metric.
        alias: the metric's alias from the birth certificate.
    """
    entry = Metric(timestamp=timestamp_ms)
    if name:
        entry.name = name
    if alias is not None:
        entry.alias = alias
    if value is None:
        entry.is_null = True
    elif isinstance(value, bool):
        entry.boolean_value = value
    elif isinstance(value, int):
        entry.long_value = value
    elif isinstance(value, float):
        entry.double_value = value
    elif isinstance(value, str):
        entry.string_value = value
    else:
        entry.bytes_value = value
    return entry


def _type_of(value: MetricValue) -> "payload_pb2.DataType.ValueType":
    if isinstance(value, bool):
        return payload_pb2.DATA_TYPE_BOOLEAN
    if isinstance(value, int):
        return payload_pb2.DATA_TYPE_UINT64
    if isinstance(value, float):
        return payload_pb2.DATA_TYPE_DOUBLE
    return payload_pb2.DATA_TYPE_STRING if isinstance(value, str) else payload_pb2.DATA_TYPE_BYTES


def metric_value(entry: Metric) -> MetricValue | None:
    """Return the value of a metric, or None if the metric is null."""
    kind = entry.WhichOneof("value")
    if entry.is_null or kind is None:
        return None
    value: MetricValue = getattr(entry, kind)
    return value
