from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling.admission import admitted_options
from nestling.budget import budget_vector
from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Calibration, Signature
from nestling_cloud.models.router import Multiplexer
from nestling_cloud.progress import Silent
from nestling_cloud.routing import (
    GATED_PART,
    SHARES,
    Costs,
    Router,
    RoutingData,
    acceptance,
    believed_right,
    calibrate,
    fit_affordable,
    fit_router,
    operating_point,
)
from nestling_cloud.training import TrainingError

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

SIGNATURE = Signature(shape=[1, 16], classes=["a", "b", "c"])


@dataclass(frozen=True, kw_only=True)
class Hardness:
    """Inputs of which some are loud: those the device gets wrong, the cloud right."""

    data: RoutingData
    loud: Bools


def loud_and_quiet(count: int, seed: int) -> Hardness:
    rng = np.random.default_rng(seed)
    loud = rng.random(count) < 0.4
    inputs = rng.normal(size=(count, 1, 16)) * np.where(loud, 3.0, 0.5)[:, None, None]
    sure = np.where(loud, 0.2, 4.0)[:, None] * np.eye(3)[rng.integers(0, 3, count)]
    device = np.where(loud, rng.random(count) < 0.1, rng.random(count) < 0.95)
    cloud = rng.random(count) < 0.9
    return Hardness(
        data=RoutingData(
            inputs=inputs.astype(np.float32),
            logits=np.stack([sure, sure * 1.2]).astype(np.float32),
            right=np.stack([device, device, cloud], axis=1),
        ),
        loud=loud,
    )


@pytest.fixture(scope="module")
def known() -> Hardness:
    return loud_and_quiet(1200, seed=0)


@pytest.fixture(scope="module")
def router(known: Hardness) -> Router:
    return fit_router(SIGNATURE, known.data, seed=0, progress=Silent())


def test_multiplexer_sees_before_a_student_runs_which_inputs_are_hard(router: Router) -> None:
    unseen = loud_and_quiet(400, seed=1)

    believed = believed_right(router.multiplexer, unseen.data.inputs)

    assert believed.shape == (400, 3)
    assert believed[unseen.loud, 0].mean() < 0.35
    assert believed[~unseen.loud, 0].mean() > 0.7
    assert believed[:, 2].mean() == pytest.approx(0.9, abs=0.1)


def test_accept_head_tells_device_and_cloud_apart(router: Router) -> None:
    unseen = loud_and_quiet(400, seed=1)
    believed = believed_right(router.multiplexer, unseen.data.inputs)

    accepted = acceptance(router.accept_head, unseen.data.logits[1], believed, capacity=2)

    assert accepted.shape == (400, 2)
    gain = accepted[:, 1] - accepted[:, 0]
    assert gain[unseen.loud].mean() > 0.4
    assert gain[~unseen.loud].mean() < 0.15


def test_acceptance_weighs_what_was_believed_of_the_capacity_that_ran_and_of_the_cloud(
    router: Router, known: Hardness
) -> None:
    logits = known.data.logits[1, :20]
    believed = np.full((20, 3), 0.5, np.float32)
    before = acceptance(router.accept_head, logits, believed, capacity=2)

    after = []
    for option in range(3):
        changed = believed.copy()
        changed[:, option] = 0.9
        after.append(acceptance(router.accept_head, logits, changed, capacity=2))

    assert np.array_equal(before, after[0])  # capacity 1 did not run
    assert not np.allclose(before, after[1])
    assert not np.allclose(before, after[2])


def test_router_is_the_same_for_the_same_seed(known: Hardness, router: Router) -> None:
    inputs = known.data.inputs[:50]

    again = fit_router(SIGNATURE, known.data, seed=0, progress=Silent())
    other = fit_router(SIGNATURE, known.data, seed=1, progress=Silent())

    expected = believed_right(router.multiplexer, inputs)
    assert np.array_equal(expected, believed_right(again.multiplexer, inputs))
    assert not np.array_equal(expected, believed_right(other.multiplexer, inputs))


def test_too_few_inputs_to_fit_on_are_refused(known: Hardness) -> None:
    with pytest.raises(TrainingError, match="multiplexer: 1 examples are too few"):
        fit_router(SIGNATURE, known.data.part(np.arange(1)), seed=0, progress=Silent())


@pytest.mark.parametrize("size", [0.0, 1e6, 1e30])
def test_fitted_multiplexer_answers_extreme_inputs_with_probabilities(
    router: Router, size: float
) -> None:
    believed = believed_right(router.multiplexer, np.full((2, 1, 16), size, np.float32))

    assert ((believed >= 0) & (believed <= 1)).all()


def test_multiplexer_learns_what_a_budget_admits() -> None:
    multiplexer = Multiplexer(SIGNATURE, 3)
    costs = Costs(memory_bytes=[8_000, 16_000, 64_000], offload_bytes=2_700)
    # Clear of every border by a factor of 1.5 or more.
    memories = (4_000, 11_000, 30_000, 200_000)
    links = ((0.0, 0.0), (0.01, 10.0), (20.0, 10.0))
    budgets = [
        Budget(memory_bytes=m, latency_ms=300, energy_mj=10, link_mbit_s=speed, link_rtt_ms=rtt)
        for m in memories
        for speed, rtt in links
    ]

    fit_affordable(multiplexer, costs, seed=0, progress=Silent())

    vectors = np.stack([budget_vector(budget) for budget in budgets])
    found = affordable(multiplexer, vectors) > 0.5
    expected = [admitted_options(costs.memory_bytes, costs.offload_bytes, b) for b in budgets]
    assert found.tolist() == expected


def affordable(multiplexer: Multiplexer, vectors: Floats) -> Floats:
    found: Floats = multiplexer.affordable(torch.from_numpy(vectors)).detach().numpy()
    return found


def test_learning_budgets_leaves_alone_what_the_multiplexer_knows_of_inputs(
    known: Hardness,
) -> None:
    fitted = fit_router(SIGNATURE, known.data.part(np.arange(200)), seed=0, progress=Silent())
    before = believed_right(fitted.multiplexer, known.data.inputs)

    costs = Costs(memory_bytes=[1000, 2000], offload_bytes=500)
    fit_affordable(fitted.multiplexer, costs, seed=0, progress=Silent())

    assert np.array_equal(before, believed_right(fitted.multiplexer, known.data.inputs))


@pytest.fixture(scope="module")
def calibration(known: Hardness) -> Calibration:
    return calibrate(SIGNATURE, known.data, seed=0, progress=Silent())


def test_calibration_has_a_rising_curve_from_none_to_all_for_each_capacity(
    calibration: Calibration,
) -> None:
    assert calibration.inputs == 1200
    assert len(calibration.curves) == 2
    for curve in calibration.curves:
        assert [point.offload_share for point in curve.points] == list(SHARES)
        assert (SHARES[0], SHARES[-1]) == (0.0, 1.0)


def test_calibration_ends_are_the_device_alone_and_the_cloud_alone(
    calibration: Calibration, known: Hardness
) -> None:
    for index, curve in enumerate(calibration.curves):
        device, cloud = known.data.right[:, index].mean(), known.data.right[:, 2].mean()
        assert curve.points[0].accuracy == pytest.approx(device)
        assert curve.points[-1].accuracy == pytest.approx(cloud)


def test_calibrated_router_beats_sending_inputs_off_at_random(
    calibration: Calibration, known: Hardness
) -> None:
    device, cloud = known.data.right[:, 0].mean(), known.data.right[:, 2].mean()

    (point,) = [p for p in calibration.curves[0].points if p.offload_share == 0.3]

    at_random = 0.7 * device + 0.3 * cloud
    assert point.accuracy > at_random + 0.08


def test_each_half_is_scored_by_what_the_other_half_taught(known: Hardness) -> None:
    right = known.data.right.copy()
    right[600:, :2] = ~right[600:, :2]  # the halves contradict each other
    contrary = RoutingData(inputs=known.data.inputs, logits=known.data.logits, right=right)

    curves = calibrate(SIGNATURE, contrary, seed=0, progress=Silent()).curves

    (point,) = [p for p in curves[0].points if p.offload_share == 0.3]
    at_random = 0.7 * right[:, 0].mean() + 0.3 * right[:, 2].mean()
    assert point.accuracy < at_random - 0.05


def test_operating_point_by_hand() -> None:
    gate = np.linspace(0, 0.9, 10, dtype=np.float32)  # the last input gains most
    accept = np.linspace(0.9, 0, 10, dtype=np.float32)  # afterwards, the first does
    device = np.array([0, 0, 1, 1, 1, 1, 1, 1, 1, 0], np.bool_)
    cloud = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 1], np.bool_)

    point = operating_point(gate, accept, device, cloud, share=0.3)

    # A tenth of three inputs may go unseen: the price lies between the two largest gains, so the
    # last goes. Of the nine that are left two more go: the first two.
    assert 0.8 < point.gate_price < 0.9
    assert 0.7 <= point.accept_price < 0.8
    assert point.accuracy == 1.0
    assert point.offload_share == 0.3


def drawn_gains(seed: int) -> Floats:
    return np.random.default_rng(seed).uniform(-1, 1, 200).astype(np.float32)


GAINS = st.integers(0, 2**32 - 1).map(drawn_gains)


@given(GAINS, GAINS, st.sampled_from(SHARES))
def test_wished_share_is_what_the_prices_send_off(
    gate: Floats, accept: Floats, share: float
) -> None:
    right = np.ones(200, np.bool_)

    point = operating_point(gate, accept, right, right, share)

    gated = gate > point.gate_price
    offloaded = gated | (accept > point.accept_price)
    assert abs(offloaded.mean() - share) <= 2 / 200
    if share < 1:
        assert gated.mean() <= share * GATED_PART + 1 / 200


@given(GAINS, GAINS)
def test_no_share_offloads_nothing_and_the_whole_everything(gate: Floats, accept: Floats) -> None:
    device, cloud = np.zeros(200, np.bool_), np.ones(200, np.bool_)

    assert operating_point(gate, accept, device, cloud, 0.0).accuracy == 0.0
    assert operating_point(gate, accept, device, cloud, 1.0).accuracy == 1.0


@given(GAINS, GAINS)
def test_more_offloading_never_asks_a_higher_price_before_a_student_runs(
    gate: Floats, accept: Floats
) -> None:
    right = np.ones(200, np.bool_)

    points = [operating_point(gate, accept, right, right, share) for share in SHARES]

    prices = [point.gate_price for point in points]
    assert prices == sorted(prices, reverse=True)
