import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.store.histogram import (
    ERROR,
    LAST_BIN,
    LOWEST_MS,
    RATIO,
    bin_of,
    decode,
    encode,
    merge,
    percentile,
)

HIGHEST_MS = 9e6


def counted(values: list[float]) -> dict[int, int]:
    histogram: dict[int, int] = {}
    for value in values:
        histogram[bin_of(value)] = histogram.get(bin_of(value), 0) + 1
    return histogram


@given(
    values=st.lists(st.floats(LOWEST_MS, HIGHEST_MS), min_size=1, max_size=200),
    share=st.floats(0.01, 1.0),
)
def test_percentile_is_within_the_stated_error_of_numpys_nearest_rank(
    values: list[float], share: float
) -> None:
    exact = float(np.percentile(values, 100 * share, method="inverted_cdf"))

    estimate = percentile(counted(values), share)

    assert exact / (ERROR * 1.0001) <= estimate <= exact * (ERROR * 1.0001)


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_percentiles_of_a_long_tail_are_within_5_percent(share: float) -> None:
    values = np.random.default_rng(0).lognormal(mean=2.0, sigma=1.5, size=20_000)
    exact = float(np.percentile(values, 100 * share, method="inverted_cdf"))

    assert percentile(counted(values.tolist()), share) == pytest.approx(exact, rel=0.05)


def test_bins_grow_by_a_tenth_and_leave_no_gaps() -> None:
    edges = LOWEST_MS * RATIO ** np.arange(0, 210)

    assert [bin_of(edge * 1.0001) for edge in edges] == list(range(1, 211))


@pytest.mark.parametrize(
    ("latency_ms", "number"),
    [(0.0, 0), (0.0099, 0), (0.0101, 1), (1e12, LAST_BIN), (9.7e6, LAST_BIN)],
)
def test_latencies_out_of_range_fall_into_the_outermost_bins(
    latency_ms: float, number: int
) -> None:
    assert bin_of(latency_ms) == number


def test_percentile_of_an_empty_histogram_is_0() -> None:
    assert percentile({}, 0.5) == 0.0


@given(
    st.lists(
        st.dictionaries(st.integers(0, LAST_BIN), st.integers(1, 2**40), max_size=20), max_size=5
    )
)
def test_histograms_survive_encoding_and_add_up(histograms: list[dict[int, int]]) -> None:
    assert [decode(encode(histogram)) for histogram in histograms] == histograms

    total = merge(histograms)

    assert sum(total.values()) == sum(sum(histogram.values()) for histogram in histograms)
    for number, count in total.items():
        assert count == sum(histogram.get(number, 0) for histogram in histograms)
