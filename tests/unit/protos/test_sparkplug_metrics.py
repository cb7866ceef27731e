import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.sparkplug.v1 import payload_pb2
from nestling.sparkplug_metrics import (
    BD_SEQ,
    CAPACITY,
    OFFLOAD_TARGET,
    Metric,
    MetricValue,
    metric,
    metric_value,
    update,
)

VALUES = st.one_of(
    st.booleans(),
    st.integers(0, 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
)


@given(VALUES)
def test_metric_keeps_value_and_type(value: MetricValue) -> None:
    sent = metric("Nestling/Any", value, timestamp_ms=1).SerializeToString()

    received = metric_value(Metric.FromString(sent))

    assert received == value
    assert type(received) is type(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, payload_pb2.DATA_TYPE_BOOLEAN),
        (7, payload_pb2.DATA_TYPE_UINT64),
        (0.5, payload_pb2.DATA_TYPE_DOUBLE),
        ("pi-5", payload_pb2.DATA_TYPE_STRING),
        (b"\0", payload_pb2.DATA_TYPE_BYTES),
    ],
)
def test_data_type_follows_from_the_value(value: MetricValue, expected: int) -> None:
    datatype = metric("Nestling/Any", value, timestamp_ms=1).datatype

    assert expected == datatype


def test_negative_number_is_refused() -> None:
    with pytest.raises(ValueError, match="range"):
        metric(CAPACITY, -1, timestamp_ms=1)


def test_birth_death_number_is_an_int64() -> None:
    assert metric(BD_SEQ, 3, timestamp_ms=5).datatype == payload_pb2.DATA_TYPE_INT64


def test_null_has_the_data_type_of_its_metric() -> None:
    null = metric(OFFLOAD_TARGET, None, timestamp_ms=5)

    assert (null.is_null, null.datatype) == (True, payload_pb2.DATA_TYPE_DOUBLE)
    assert metric_value(null) is None


def test_null_without_a_known_type_is_refused() -> None:
    with pytest.raises(KeyError):
        metric("Nestling/Any", None, timestamp_ms=5)


@given(st.one_of(st.none(), VALUES))
def test_update_has_only_alias_and_value(value: MetricValue | None) -> None:
    short = Metric.FromString(update(value, timestamp_ms=5, alias=2).SerializeToString())

    assert not short.HasField("name")
    assert not short.HasField("datatype")
    assert (short.alias, short.timestamp) == (2, 5)
    assert metric_value(short) == value
    assert short.is_null is (value is None)


def test_metric_without_an_alias_has_none() -> None:
    assert not metric(CAPACITY, 3, timestamp_ms=5).HasField("alias")


def test_null_and_empty_metrics_have_no_value() -> None:
    null = metric(CAPACITY, 3, timestamp_ms=5)
    null.is_null = True

    assert metric_value(null) is None
    assert metric_value(Metric(name=CAPACITY)) is None
