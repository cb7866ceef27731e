import contextlib
import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling_cloud.datasets.columns import columns_of
from nestling_cloud.datasets.recordings import Recording, read_recording
from nestling_cloud.datasets.windows import WindowPlan, cut
from nestling_core.media.errors import MediaError


def columns(recording: Recording) -> dict[str, list[object]]:
    return {name: values.tolist() for name, values in recording.columns.items()}


def parquet(**values: list[object]) -> bytes:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq  # noqa: PLC0415  only with pyarrow

    stream = io.BytesIO()
    pq.write_table(pa.table(values), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "text",
    ["a,b\n1,2.5\n3,4\n", "a;b\r\n1;2,5\r\n3;4\r\n", "\ufeffa\tb\n1\t2.5\n\n3\t4"],
)
def test_csv_is_read_whatever_separates_it(text: str) -> None:
    assert columns(read_recording("x.CSV", text.encode())) == {"a": [1, 3], "b": [2.5, 4]}


def test_csv_without_a_header_has_numbered_channels() -> None:
    assert columns(read_recording("x.csv", b"1,2\n3,4\n")) == {
        "channel 1": [1, 3],
        "channel 2": [2, 4],
    }


def test_parquet_is_read_with_times_and_gaps() -> None:
    data = parquet(t=["2026-01-01", "2026-01-02"], x=[1, None], name=["a", "b"])

    found = read_recording("x.parquet", data)

    assert found.columns["name"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(found.columns["x"], [1, np.nan])
    assert [column.is_time for column in columns_of(found)] == [True, False, False]


def test_array_is_samples_by_channels() -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([[1, 2], [3, 4]]))

    assert columns(read_recording("x.npy", stream.getvalue())) == {
        "channel 1": [1, 3],
        "channel 2": [2, 4],
    }


def npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("x.csv", b"", "is empty"),
        ("x.csv", b"\n\n", "is empty"),
        ("x.csv", b"a,b\n", "no rows"),
        ("x.csv", b"a,b\n1,2\n3\n", "1 in row 3"),
        ("x.csv", b"a,a\n1,2\n", "two of the same name"),
        ("x.csv", b"\xff\xfe\x00\x81", "text file"),
        ("x.csv", b",".join([b"1"] * 5000), "5000 columns"),
        ("x.npy", b"\x93NUMPY", "not a readable .npy"),
        ("x.npy", npy(np.zeros(3)), r"float64 \(3,\)"),
        ("x.npy", npy(np.array([["a"]])), "an array of numbers"),
        ("x.npy", npy(np.array([[{}]])), "not a readable .npy"),
        ("x.parquet", b"PAR1" + b"\0" * 30, "not a readable Parquet"),
        ("x.parquet", b"PAR1" + struct.pack("<I", 2**31) + b"PAR1", "not a readable Parquet"),
    ],
)
def test_unusable_file_is_refused(name: str, data: bytes, reason: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(MediaError, match=reason):
        read_recording(name, data)


def test_half_of_a_parquet_file_is_refused() -> None:
    data = parquet(x=list(range(1000)))

    for length in (len(data) // 2, len(data) - 1):
        with pytest.raises(MediaError, match="not a readable Parquet"):
            read_recording("x.parquet", data[:length])


@settings(deadline=None)
@given(st.binary(max_size=120), st.sampled_from(["x.csv", "x.npy"]))
def test_noise_is_a_media_error_or_a_recording(data: bytes, name: str) -> None:
    with contextlib.suppress(MediaError):
        assert read_recording(name, data).rows > 0


@pytest.mark.parametrize(
    ("name", "values", "step_s"),
    [
        ("datetime", ["2026-01-01 00:00:00", "2026-01-01 00:00:02"], 2),
        ("time (ms)", [0.0, 20.0, 40.0], 0.02),
        ("timestamp", [1.5, 2.0, 2.5], 0.5),
        ("index", [0.0, 1.0, 2.0], 0),
    ],
)
def test_times_are_recognized(name: str, values: list[object], step_s: float) -> None:
    (column,) = columns_of(Recording(columns={name: np.array(values)}, rows=len(values)))

    assert column.is_time
    assert column.step_s == pytest.approx(step_s)


def test_measured_values_are_no_times() -> None:
    for name, values in (("temperature", [1.0, 2.0, 3.0]), ("time", [3.0, 1.0, 2.0])):
        (column,) = columns_of(Recording(columns={name: np.array(values)}, rows=3))
        assert not column.is_time


def recording(**values: list[object]) -> Recording:
    return Recording(
        columns={name: np.array(column) for name, column in values.items()},
        rows=len(next(iter(values.values()))),
    )


def test_windows_have_channels_first_and_the_most_frequent_label() -> None:
    found = cut(
        recording(x=[1.0, 2, 3, 4, 5], y=[5.0, 6, 7, 8, 9], label=["a", "b", "b", "a", "b"]),
        WindowPlan(channels=["y", "x"], length=3, hop=2, label="label"),
    )

    assert found.inputs.tolist() == [[[5, 6, 7], [1, 2, 3]], [[7, 8, 9], [3, 4, 5]]]
    assert found.inputs.dtype == np.float32
    assert found.labels == ["b", "b"]


def test_of_equally_frequent_labels_the_first_counts() -> None:
    plan = WindowPlan(channels=["x"], length=2, hop=2, label="label")

    assert cut(recording(x=[1.0, 2], label=["b", "a"]), plan).labels == ["b"]
    assert cut(recording(x=[1.0, 2], label=[1.0, 0.0]), plan).labels == ["1"]


def test_estimated_columns_are_averaged_over_the_window() -> None:
    plan = WindowPlan(channels=["x"], length=2, hop=1, targets=["y"])

    assert cut(recording(x=[1.0, 2, 3], y=[10.0, 20, 60]), plan).targets.tolist() == [[15], [40]]


def test_missing_values_are_filled_along_a_straight_line() -> None:
    gaps = recording(x=[np.nan, 2.0, np.nan, 4.0, np.nan])

    found = cut(gaps, WindowPlan(channels=["x"], length=5, hop=5))

    assert found.inputs.tolist() == [[[2, 2, 3, 4, 4]]]


def test_recording_that_does_not_fit_is_refused() -> None:
    plan = WindowPlan(channels=["x"], length=2, hop=2, label="label")

    for unfit, reason in (
        (recording(x=[1.0], label=["a"]), "1 rows, fewer"),
        (recording(y=[1.0, 2.0], label=["a", "a"]), "no column 'x'"),
        (recording(x=["a", "b"], label=["a", "a"]), "no numbers in column 'x'"),
        (recording(x=[1.0, 2.0]), "no column 'label'"),
    ):
        with pytest.raises(MediaError, match=reason):
            cut(unfit, plan)


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40))
def test_number_of_windows_is_known_before_they_are_cut(length: int, hop: int, rows: int) -> None:
    plan = WindowPlan(channels=["x"], length=length, hop=hop)
    whole = recording(x=[float(row) for row in range(rows)])

    if rows >= length:
        assert plan.count(rows) == len(cut(whole, plan).inputs)
    else:
        assert plan.count(rows) == 0
