import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.metrics import CAPACITY, Metric, MetricValue, metric, metric_value
from nestling.sparkplug.v1 import payload_pb2

VALUES = st.one_of(
    st.booleans(),
    st.integers(0, 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
)


@given(VALUES)
def test_value_travels_unchanged_in_value_and_type(value: MetricValue) -> None:
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


def test_metric_with_an_alias_may_leave_its_name_out() -> None:
    short = metric("", 3, timestamp_ms=5, alias=2)

    assert not short.HasField("name")
    assert (short.alias, short.timestamp) == (2, 5)


def test_metric_without_an_alias_has_none() -> None:
    assert not metric(CAPACITY, 3, timestamp_ms=5).HasField("alias")


def test_null_and_empty_metrics_have_no_value() -> None:
    null = metric(CAPACITY, 3, timestamp_ms=5)
    null.is_null = True

    assert metric_value(null) is None
    assert metric_value(Metric(name=CAPACITY)) is None
