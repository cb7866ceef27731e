import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.learning.routing import GATED_PART, SHARES, Gains, operating_point
from nestling_cloud.learning.routing.data import Floats
from nestling_cloud.learning.routing.operating_points import routing_curve, thresholds
from nestling_device.inference.policy import thresholds_for


def test_operating_point_by_hand() -> None:
    gate = np.linspace(0, 0.9, 10, dtype=np.float32)  # the last input has the largest gain
    accept = np.linspace(0.9, 0, 10, dtype=np.float32)  # afterwards the first has
    device = np.array([0, 0, 1, 1, 1, 1, 1, 1, 1, 0], np.bool_)
    cloud = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 1], np.bool_)

    point = operating_point(Gains(gate=gate, accept=accept), device, cloud, share=0.3)

    # A tenth of three inputs may go at the gate: the threshold lies between the two largest gains,
    # so the last input goes. Of the nine that are left, the first two go.
    assert 0.8 < point.gate_threshold < 0.9
    assert 0.7 <= point.accept_threshold < 0.8
    assert point.accuracy == 1.0
    assert point.offload_share == 0.3


def drawn_gains(seed: int) -> Floats:
    return np.random.default_rng(seed).uniform(-1, 1, 200).astype(np.float32)


GAINS = st.integers(0, 2**32 - 1).map(drawn_gains)


@given(GAINS, GAINS, st.sampled_from(SHARES))
def test_thresholds_offload_the_target_share(gate: Floats, accept: Floats, share: float) -> None:
    right = np.ones(200, np.bool_)

    point = operating_point(Gains(gate=gate, accept=accept), right, right, share)

    gated = gate > point.gate_threshold
    offloaded = gated | (accept > point.accept_threshold)
    assert abs(offloaded.mean() - share) <= 2 / 200
    if share < 1:
        assert gated.mean() <= share * GATED_PART + 1 / 200


@given(GAINS, GAINS)
def test_share_0_offloads_nothing_and_share_1_everything(gate: Floats, accept: Floats) -> None:
    device, cloud = np.zeros(200, np.bool_), np.ones(200, np.bool_)

    for gained in (Gains(gate=gate, accept=accept), Gains(gate=None, accept=accept)):
        assert operating_point(gained, device, cloud, 0.0).accuracy == 0.0
        assert operating_point(gained, device, cloud, 1.0).accuracy == 1.0


@given(GAINS, GAINS)
def test_gate_threshold_never_rises_with_the_share(gate: Floats, accept: Floats) -> None:
    right = np.ones(200, np.bool_)

    points = [
        operating_point(Gains(gate=gate, accept=accept), right, right, share) for share in SHARES
    ]

    thresholds = [point.gate_threshold for point in points]
    assert thresholds == sorted(thresholds, reverse=True)


@given(GAINS, st.sampled_from(SHARES))
def test_without_a_cascade_nothing_goes_at_the_gate_unless_everything_goes(
    accept: Floats, share: float
) -> None:
    right = np.ones(200, np.bool_)

    point = operating_point(Gains(gate=None, accept=accept), right, right, share)

    assert (point.gate_threshold < -1) == (share == 1)
    assert point.gate_threshold == 1 or share == 1
    assert abs((accept > point.accept_threshold).mean() - share) <= 1 / 200 + 1e-9


@pytest.mark.parametrize("share", [0.015, 0.03, 0.07, 0.33, 0.7, 0.8, 0.87, 0.93, 0.97, 0.985])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cascades", [False, True], ids=["at once", "in a cascade"])
def test_interpolated_thresholds_offload_the_share_between_two_points(
    share: float, seed: int, cascades: bool
) -> None:
    # Typical of a nest: for most inputs the cloud is hardly better, for some it is far better.
    rng = np.random.default_rng(seed)
    accept = (rng.beta(0.5, 3, 2000) - 0.1).astype(np.float32)
    gate = (accept + rng.normal(0, 0.05, 2000)).astype(np.float32) if cascades else None
    gained, right = Gains(gate=gate, accept=accept), np.ones(2000, np.bool_)

    read = thresholds_for(routing_curve(gained, right, right), share)

    assert gained.sent(read.gate, read.accept).mean() == pytest.approx(share, abs=0.02)


def test_equal_gains_do_not_cross_the_threshold_because_of_a_last_bit() -> None:
    gains = np.linspace(-1, 1, 200, dtype=np.float32)
    gains[:150] = 0.1

    _, threshold = thresholds(Gains(gate=None, accept=gains), 0.5)

    assert threshold == pytest.approx(0.1, abs=1e-5)
    assert not np.nextafter(np.float32(0.1), np.float32(1)) > threshold
