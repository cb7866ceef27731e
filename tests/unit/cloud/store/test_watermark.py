import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.store.watermark import Gap, Watermark, advance
from nestling_core.telemetry.receipt_chain import extend


def settled_to(watermark: int, sequences: list[int], gaps: list[Gap]) -> int:
    marks = [(sequence, 7) for sequence in sequences]
    return advance(Watermark(watermark, 0), marks, gaps).contiguous


@pytest.mark.parametrize(
    ("watermark", "sequences", "gaps", "expected"),
    [
        (0, [], [], 0),
        (0, [1, 2, 3], [], 3),
        (0, [2, 3], [], 0),
        (0, [1, 3], [], 1),
        (0, [3], [Gap(1, 2)], 3),
        (4, [5, 8], [Gap(6, 7)], 8),
        (4, [], [Gap(2, 9)], 9),
        (4, [], [Gap(6, 9)], 4),
        (9, [1, 2], [Gap(3, 4)], 9),
    ],
)
def test_watermark_stops_at_the_first_hole(
    watermark: int, sequences: list[int], gaps: list[Gap], expected: int
) -> None:
    assert settled_to(watermark, sequences, gaps) == expected


@given(
    sequences=st.sets(st.integers(1, 30)),
    gaps=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=4),
)
def test_watermark_is_one_below_the_smallest_unsettled_sequence(
    sequences: set[int], gaps: list[tuple[int, int]]
) -> None:
    ranges = sorted(Gap(first, first + length) for first, length in gaps)
    settled = sequences.union(*(range(gap.first, gap.last + 1) for gap in ranges))
    smallest_open = next(n for n in range(1, 40) if n not in settled)

    assert settled_to(0, sorted(sequences), ranges) == smallest_open - 1


def test_chain_covers_stored_receipts_in_order_and_restarts_after_a_gap() -> None:
    first, second = (1, 5), (2, 6)

    assert advance(Watermark(0, 0), [first, second, (4, 9)], []) == (2, extend(extend(0, 5), 6))
    assert advance(Watermark(0, 0), [(1, 6), (2, 5)], []).chain != extend(extend(0, 5), 6)
    assert advance(Watermark(0, 0), [(4, 9)], [Gap(1, 3, -8)]) == (4, extend(-8, 9))
