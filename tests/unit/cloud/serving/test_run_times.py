import pytest

from nestling_cloud.serving.run_times import RunTimes


def after(*runs: tuple[int, float]) -> RunTimes:
    times = RunTimes()
    for rows, seconds in runs:
        times = times.after_run(rows, seconds)
    return times


def test_before_the_first_run_nothing_is_expected() -> None:
    assert (RunTimes().run_s(7), RunTimes().slow_run_s(7), RunTimes().least_per_row_s) == (0, 0, 0)


def test_time_of_an_unknown_size_follows_from_the_next_smaller_one() -> None:
    times = after((1, 0.010), (8, 0.040))

    assert times.run_s(1) == pytest.approx(0.010)
    assert times.run_s(3) == pytest.approx(0.030)  # as if nothing were gained by a batch of three
    assert times.run_s(15) == pytest.approx(0.075)
    assert times.run_s(32) == pytest.approx(0.160)
    assert times.least_per_row_s == pytest.approx(0.005)


def test_smaller_size_than_any_known_one_takes_the_smallest() -> None:
    assert after((8, 0.040)).run_s(2) == pytest.approx(0.010)


def test_estimate_follows_the_newest_runs() -> None:
    times = after(*[(1, 0.010)] * 20, *[(1, 0.030)] * 40)

    assert times.run_s(1) == pytest.approx(0.030, rel=0.05)


def test_stalled_run_hardly_counts() -> None:
    times = after(*[(1, 0.010)] * 20, (1, 60.0))

    assert times.run_s(1) < 0.016
    assert times.slow_run_s(1) < 0.050


def test_large_batch_never_takes_longer_per_row_than_a_small_one() -> None:
    assert after((1, 0.010), (8, 0.400)).run_s(8) == pytest.approx(0.080)


def test_slow_run_is_the_slower_the_more_runs_vary() -> None:
    even, uneven = after(*[(1, 0.010)] * 60), after(*[(1, 0.005), (1, 0.015)] * 30)

    assert even.slow_run_s(1) == pytest.approx(0.010, rel=0.05)
    assert uneven.slow_run_s(1) > 0.018
