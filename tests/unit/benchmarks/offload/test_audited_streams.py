"""The streams of the benchmark are followed as devices follow them."""

import dataclasses
import itertools

import numpy as np
import pytest

from benchmarks.offload.audited_outputs import Outputs, Routing, corrupted
from benchmarks.offload.audited_streams import Followed, draw_streams, follow, true_risks
from benchmarks.offload.guarantee import Study
from benchmarks.offload.guarantee_report import guarantee_figures, guarantee_tables
from nestling.v1.bundle_pb2 import AuditedThreshold, GuaranteePlan, StreamFilter

COUNT = 2000
ALONE = np.ones(COUNT, np.intp)


@pytest.fixture(scope="module")
def outputs() -> Outputs:
    """Return inputs whose answers the cloud changes with the probability that is estimated."""
    rng = np.random.default_rng(0)
    wrong = rng.uniform(0, 0.3, COUNT)
    changed = rng.random(COUNT) < wrong
    cloud = rng.integers(0, 4, COUNT)
    device = np.where(changed, (cloud + 1) % 4, cloud)
    return Outputs(
        logits=(3 * np.eye(4)[device]).astype(np.float32),
        right=1 - wrong,
        cloud_right=np.ones(COUNT),
        cloud=(3 * np.eye(4)[cloud]).astype(np.float32),
        lengths=[],
    )


def routing(filtered: StreamFilter | None = None) -> Routing:
    thresholds = [
        AuditedThreshold(accept_threshold=accept, kept=int(accept / 0.3 * 100), changed=0)
        for accept in (0.1, 0.2, 0.3)
    ]
    plan = GuaranteePlan(thresholds=thresholds, inputs=100, dependence=1)
    return Routing(plan=plan, filter=filtered)


def test_true_risk_of_independent_inputs_is_their_share_of_changes(outputs: Outputs) -> None:
    found = true_risks(outputs, routing(), ALONE, np.random.default_rng(0))

    gain = outputs.cloud_right - outputs.right
    expected = [outputs.changed[gain <= accept].mean() for accept in (0.1, 0.2, 0.3)]
    assert found == pytest.approx(expected, abs=0.003)


def test_filter_without_memory_keeps_and_changes_as_no_filter_does(outputs: Outputs) -> None:
    forgetful = StreamFilter(stay=0.0, reread=0.0, misread=1e-9, weight=1.0, doubt=1e-6)
    sure = dataclasses.replace(outputs, cloud=10 * outputs.cloud)

    found = true_risks(sure, routing(forgetful), ALONE, np.random.default_rng(0))

    assert found == pytest.approx(
        true_risks(sure, routing(), ALONE, np.random.default_rng(0)), abs=1e-6
    )


def test_streams_are_whole_recordings_in_a_random_order() -> None:
    lengths = np.array([3, 5, 2], np.intp)

    places = draw_streams(lengths, 4, 50, np.random.default_rng(0))

    assert places.shape == (4, 50)
    starts, ends = {0, 3, 8}, {2, 7, 9}
    for stream in places.tolist():
        assert stream[0] in starts
        for before, after in itertools.pairwise(stream):
            assert after == before + 1 or (before in ends and after in starts)
    assert len({tuple(stream) for stream in places.tolist()}) == 4


def test_streams_are_certified_and_what_exceeds_the_risk_is_counted(outputs: Outputs) -> None:
    rng = np.random.default_rng(0)
    risks = true_risks(outputs, routing(), ALONE, rng)
    places = draw_streams(ALONE, 20, 1500, rng)

    honest = follow(Followed(outputs, routing(), 0.1, risks), places, rng)
    wrong = follow(Followed(outputs, routing(), 0.1, np.ones(3)), places, rng)

    certified = [one for one in honest if one.certified is not None]
    assert len(certified) >= 17
    assert np.mean([one.violated for one in honest]) <= 0.2
    assert all(one.violated == (one.certified is not None) for one in wrong)
    for one in certified:
        assert one.certified is not None
        assert 20 < one.certified < 1500
        assert one.certified / 1500 <= one.asked < 1
        assert one.estimated is not None
        assert 0 < one.audits < 1500


def test_shift_is_found_and_what_follows_it_is_no_violation(outputs: Outputs) -> None:
    rng = np.random.default_rng(0)
    risks = true_risks(outputs, routing(), ALONE, rng)
    hard = np.flatnonzero(outputs.changed)
    places = np.concatenate([draw_streams(ALONE, 5, 800, rng), rng.choice(hard, (5, 800))], axis=1)

    found = follow(Followed(outputs, routing(), 0.15, risks, np.ones(3)), places, rng, shift=800)
    unknown = follow(Followed(outputs, routing(), 0.15, risks), places, rng, shift=800)

    assert all(one.certified_at_shift and one.exceeded for one in found)
    assert [one.exceeded for one in unknown] == [one.violated for one in unknown]
    assert all(one.found is not None and one.found < 400 for one in found)


def test_corruptions_change_pictures_and_stay_in_range() -> None:
    pictures = np.random.default_rng(0).random((3, 1, 6, 6)).astype(np.float32)

    found = corrupted(pictures, np.random.default_rng(1))

    assert len(found) == 10
    assert np.array_equal(found["clean"], pictures)
    for name, made in found.items():
        assert made.dtype == np.float32
        assert made.shape == pictures.shape
        assert pictures.min() <= made.min() <= made.max() <= pictures.max()
        assert name == "clean" or not np.array_equal(made, pictures)
    assert found["blur 3"].std() < found["blur 1"].std() < pictures.std()


def test_report_has_a_goal_for_each_steady_study_and_shows_shifts_apart(outputs: Outputs) -> None:
    rng = np.random.default_rng(0)
    places = draw_streams(ALONE, 4, 300, rng)
    results = follow(Followed(outputs, routing(), 0.1, np.zeros(3)), places, rng, shift=200)
    studies = [
        Study(name=name, risk=0.1, dependence=[1, 5], results=results)
        for name in ("corrupted pictures, smallest", "pictures, x3 half way")
    ]

    steady, shifts = guarantee_tables(studies)
    figures = guarantee_figures(studies)

    assert [row[0] for row in steady.rows] == ["corrupted pictures, smallest"]
    assert [row[0] for row in shifts.rows] == ["pictures, x3 half way"]
    assert [one.goal for one in figures.values()] == ["<= 10", None]
    assert all(len(row) == len(steady.header) for row in steady.rows)
    assert all(len(row) == len(shifts.header) for row in shifts.rows)
