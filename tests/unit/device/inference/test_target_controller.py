import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling.v1.budget_pb2 import Budget
from nestling_device.inference.target_controller import (
    InputCost,
    Kind,
    Target,
    TargetController,
    share_in_force,
    target_of,
    with_share,
)

WINDOW = 500
NOTHING = InputCost(share=0, energy=0, latency=0)
OFFLOAD = InputCost(share=1, energy=0, latency=0)
DEVICE_MJ, RADIO_MJ = 1.0, 10.0

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def share(mean: float, window: int = WINDOW) -> Target:
    return target_of(Budget(offload_share=mean, target_window=window), kept=NOTHING, sent=OFFLOAD)


def energy(mean: float, window: int = WINDOW, radio_mj: float = RADIO_MJ) -> Target:
    return Target(kind="energy", mean=mean, window=window, kept=DEVICE_MJ, sent=radio_mj)


def offloads(target: Target, hardness: Floats) -> Bools:
    """Return which inputs are offloaded: the hardest (0 to 1), by the share of the controller."""
    controller, sent_inputs = TargetController(), []
    for hard in hardness:
        sent = bool(hard > 1 - controller.share_to_aim_at(target))
        controller = controller.after_input(target, OFFLOAD if sent else NOTHING)
        sent_inputs.append(sent)
    return np.array(sent_inputs)


def worst(made: Bools, target: float, window: int = WINDOW) -> float:
    """Return the largest distance of any window's share from the target."""
    sums = np.concatenate([[0], np.cumsum(made)])
    return float(np.abs((sums[window:] - sums[:-window]) / window - target).max())


@pytest.mark.parametrize(
    ("budget", "kind", "mean"),
    [
        (Budget(offload_share=0.2), "share", 0.2),
        (Budget(offload_share=0.2, latency_per_input_ms=9), "latency", 9),
        (Budget(offload_share=0.2, latency_per_input_ms=9, energy_per_input_mj=4), "energy", 4),
    ],
)
def test_energy_target_overrides_latency_and_latency_overrides_share(
    budget: Budget, kind: Kind, mean: float
) -> None:
    kept, sent = InputCost(share=0, energy=1, latency=2), InputCost(share=1, energy=10, latency=20)

    found = target_of(budget, kept=kept, sent=sent)

    assert (found.kind, found.mean) == (kind, mean)
    assert (found.kept, found.sent) == (kept.of(kind), sent.of(kind))


def test_console_share_replaces_the_targets_of_the_device() -> None:
    own = Budget(
        offload_share=0.2, energy_per_input_mj=4, latency_per_input_ms=9, tolerated_risk=0.05
    )

    assert with_share(own, None) == own
    assert with_share(own, 0.5) == Budget(offload_share=0.5, tolerated_risk=0.05)
    assert own.energy_per_input_mj == 4


@pytest.mark.parametrize(
    ("other", "in_force"),
    [
        (Budget(), 0.2),
        (Budget(tolerated_risk=0.05), None),
        (Budget(energy_per_input_mj=4), None),
        (Budget(latency_per_input_ms=9), None),
    ],
)
def test_share_in_force_is_none_when_another_target_decides(
    other: Budget, in_force: float | None
) -> None:
    other.offload_share = 0.2

    assert share_in_force(other) == in_force


@pytest.mark.parametrize(
    ("mean", "kept", "sent", "expected"),
    [
        (3, 1, 10, 0.2),
        (1, 1, 10, 0),
        (11, 1, 10, 1),
        (0.5, 1, 10, -0.05),
        (1, 1, 0, 1),
        (0, 1, 0, 0),
    ],
)
def test_target_share_computed_by_hand(
    mean: float, kept: float, sent: float, expected: float
) -> None:
    target = Target(kind="energy", mean=mean, window=0, kept=kept, sent=sent)

    assert target.share == pytest.approx(expected)
    assert TargetController().share_to_aim_at(target) == pytest.approx(min(1, max(0, expected)))


def test_target_without_a_window_is_not_corrected() -> None:
    target, controller = share(0.2, window=0), TargetController()

    for _ in range(50):
        controller = controller.after_input(target, OFFLOAD)

    assert controller == TargetController()
    assert controller.share_to_aim_at(target) == 0.2


def test_overspending_lowers_the_share_and_underspending_raises_it() -> None:
    target, controller = share(0.2), TargetController()

    more, less = (controller.after_input(target, cost) for cost in (NOTHING, OFFLOAD))

    assert less.share_to_aim_at(target) < 0.2 < more.share_to_aim_at(target)
    assert controller.share_to_aim_at(target) == 0.2
    # A debt of 0.2 of 500: 10 * 0.0004 * (1 + (0.0004 / 0.006)^2)
    assert more.share_to_aim_at(target) == pytest.approx(0.2 + 0.004 * (1 + (0.0004 / 0.006) ** 2))


@given(st.floats(0, 1), st.floats(-1e4, 1e4), st.integers(1, 10_000))
def test_share_to_aim_at_lies_in_0_to_1_and_rises_with_the_debt(
    mean: float, owed: float, window: int
) -> None:
    target = share(mean, window)

    found = TargetController(owed, window).share_to_aim_at(target)

    assert 0 <= found <= 1
    assert found <= TargetController(owed + 1, window).share_to_aim_at(target)


@pytest.mark.parametrize("window", [WINDOW, 2000])
@pytest.mark.parametrize("target", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("power", [0.2, 1.0, 5.0], ids=["harder", "as calibrated", "easier"])
def test_share_stays_within_two_points_over_every_window(
    target: float, power: float, window: int
) -> None:
    rng = np.random.default_rng(0)
    calibrated, drifted = rng.random(2 * window), rng.random(2 * window) ** power

    made = offloads(share(target, window), np.concatenate([calibrated, drifted]))

    assert worst(made, target, window) <= 0.02 + 1e-9


def test_share_misses_its_target_without_a_window() -> None:
    rng = np.random.default_rng(0)

    made = offloads(share(0.2, window=0), rng.random(2000) ** 0.2)

    assert worst(made, 0.2) > 0.2


@pytest.mark.parametrize("hard", [1e-9, 1.0])
def test_share_is_held_when_all_inputs_are_equally_hard(hard: float) -> None:
    made = offloads(share(0.2), np.full(3000, hard))

    assert worst(made[WINDOW:], 0.2) <= 0.02


def spent(
    mean: float,
    hardness: Floats,
    radio_mj: Floats,
    window: int = WINDOW,
    controller: TargetController = TargetController(),  # noqa: B008  # it is a value
) -> Floats:
    """Return the energy of each input on a device that takes 10 % more than expected."""
    taken = []
    for hard, radio in zip(hardness, radio_mj, strict=True):
        target = energy(mean, window, radio)
        sent = bool(hard > 1 - controller.share_to_aim_at(target))
        took = 1.1 * DEVICE_MJ + sent * radio
        controller = controller.after_input(target, InputCost(share=sent, energy=took, latency=0))
        taken.append(took)
    return np.array(taken)


def test_energy_target_holds_while_inputs_get_harder_and_the_link_costs_more() -> None:
    rng = np.random.default_rng(0)
    hardness = np.concatenate([rng.random(2000), rng.random(2000) ** 0.2])
    radio = np.concatenate([np.full(3000, RADIO_MJ), np.full(1000, 2 * RADIO_MJ)])

    controlled = spent(4.0, hardness, radio)
    uncontrolled = spent(4.0, hardness, radio, window=0)

    windows = np.convolve(controlled, np.ones(WINDOW) / WINDOW, mode="valid")
    assert np.abs(windows - 4.0).max() < 0.3
    drifted = np.convolve(uncontrolled, np.ones(WINDOW) / WINDOW, mode="valid")
    assert np.abs(drifted - 4.0).max() > 1.0


@pytest.mark.parametrize(
    ("mean", "kept_mj", "radio_mj", "true_mj", "true_radio_mj"),
    [(40, 0.2, 20, 0.2, 60), (14, 1.85, 5.9, 11, 5.9), (3.25, 5, 0.5, 3, 0.5)],
    ids=["costlier link", "costlier device", "cheaper device"],
)
def test_controller_corrects_expected_costs_that_are_far_off(
    mean: float, kept_mj: float, radio_mj: float, true_mj: float, true_radio_mj: float
) -> None:
    target = Target(kind="energy", mean=mean, window=WINDOW, kept=kept_mj, sent=radio_mj)
    controller, taken = TargetController(), []
    for hard in np.random.default_rng(0).random(6 * WINDOW):
        sent = bool(hard > 1 - controller.share_to_aim_at(target))
        took = true_mj + sent * true_radio_mj
        controller = controller.after_input(target, InputCost(share=sent, energy=took, latency=0))
        taken.append(took)

    assert not 0 <= target.share <= 1
    windows = np.convolve(taken[WINDOW:], np.ones(WINDOW) / WINDOW, mode="valid")
    assert np.abs(windows - mean).max() < 0.04 * true_radio_mj


def test_energy_target_below_the_device_cost_sends_nothing() -> None:
    taken = spent(0.5, np.random.default_rng(0).random(600), np.full(600, RADIO_MJ))

    assert (taken == 1.1 * DEVICE_MJ).all()


@pytest.mark.parametrize(
    ("mean", "kept_mj"),
    [(4.0, 5.0), (0.5, 1.0), (20.0, 1.0)],
    ids=["costly device", "too little", "too much"],
)
def test_unreachable_target_is_not_made_up_for_later(mean: float, kept_mj: float) -> None:
    hardness = np.random.default_rng(0).random(3000)
    controller = TargetController()
    for _ in range(3000):  # the device alone takes more, or even full offload takes less
        sent = mean > kept_mj
        took = kept_mj + sent * RADIO_MJ
        controller = controller.after_input(
            energy(mean), InputCost(share=sent, energy=took, latency=0)
        )

    taken = spent(4.0, hardness, np.full(3000, RADIO_MJ), controller=controller)

    windows = np.convolve(taken, np.ones(WINDOW) / WINDOW, mode="valid")
    assert np.abs(windows - 4.0).max() < 0.3


@given(st.floats(0, 1), st.lists(st.booleans(), max_size=8))
def test_debt_is_the_target_minus_the_cost(mean: float, sent: list[bool]) -> None:
    target, controller = share(mean), TargetController()

    for offloaded in sent:
        controller = controller.after_input(target, OFFLOAD if offloaded else NOTHING)

    assert controller.owed == pytest.approx(mean * len(sent) - sum(sent), abs=0.6)
    assert abs(controller.owed) <= 0.015 * WINDOW


def test_new_window_or_kind_of_target_starts_without_debt() -> None:
    controller = TargetController(400.0, 100_000)

    assert controller.share_to_aim_at(share(0.2, 500)) == 0.2
    assert controller.after_input(share(0.2, 500), NOTHING) == TargetController(0.2, 500)
    assert controller.share_to_aim_at(energy(3.0, 100_000)) == pytest.approx(0.2)
