import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.v1.budget_pb2 import Budget
from nestling_device.share import ShareKeeper

WINDOW = 500


def wish(share: float, window: int = WINDOW) -> Budget:
    return Budget(offload_share=share, share_window=window)


def offloads(budget: Budget, hardness: np.ndarray) -> np.ndarray:
    """Offload inputs whose hardness, 0 to 1, is among the share that the keeper goes for."""
    keeper, made = ShareKeeper(), []
    for hard in hardness:
        sent = bool(hard > 1 - keeper.to_go_for(budget))
        keeper = keeper.after_input(budget, asked_cloud=sent)
        made.append(sent)
    return np.array(made)


def worst(made: np.ndarray, share: float, window: int = WINDOW) -> float:
    """Largest distance of any window's share from the wish."""
    sums = np.concatenate([[0], np.cumsum(made)])
    return float(np.abs((sums[window:] - sums[:-window]) / window - share).max())


def test_a_wish_without_a_window_stays_what_it_is() -> None:
    budget, keeper = wish(0.2, window=0), ShareKeeper()

    for _ in range(50):
        keeper = keeper.after_input(budget, asked_cloud=True)

    assert keeper == ShareKeeper()
    assert keeper.to_go_for(budget) == 0.2


def test_a_tolerated_risk_keeps_no_account_of_shares() -> None:
    budget = wish(0.2)
    budget.tolerated_risk = 0.05

    assert ShareKeeper(3.0, WINDOW).after_input(budget, asked_cloud=True) == ShareKeeper()


def test_one_offload_too_many_lowers_the_share_and_one_too_few_raises_it() -> None:
    budget, keeper = wish(0.2), ShareKeeper()

    more, less = (keeper.after_input(budget, asked_cloud=asked) for asked in (False, True))

    assert less.to_go_for(budget) < 0.2 < more.to_go_for(budget)
    assert keeper.to_go_for(budget) == 0.2
    # A debt of 0.2 of 500: 10 * 0.0004 * (1 + (0.0004 / 0.006)^2)
    assert more.to_go_for(budget) == pytest.approx(0.2 + 0.004 * (1 + (0.0004 / 0.006) ** 2))


@given(st.floats(0, 1), st.floats(-1e4, 1e4), st.integers(1, 10_000))
def test_share_to_go_for_is_a_share_and_rises_with_the_debt(
    share: float, owed: float, window: int
) -> None:
    budget = wish(share, window)

    found = ShareKeeper(owed, window).to_go_for(budget)

    assert 0 <= found <= 1
    assert found <= ShareKeeper(owed + 1, window).to_go_for(budget)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("power", [0.2, 1.0, 5.0], ids=["harder", "as calibrated", "easier"])
def test_share_is_kept_within_two_points_over_every_window(share: float, power: float) -> None:
    rng = np.random.default_rng(0)
    as_before, drifted = rng.random(2000), rng.random(2000) ** power

    made = offloads(wish(share), np.concatenate([as_before, drifted]))

    assert worst(made, share) <= 0.02 + 1e-9


def test_without_a_keeper_the_same_drift_breaks_the_share() -> None:
    rng = np.random.default_rng(0)

    made = offloads(wish(0.2, window=0), rng.random(2000) ** 0.2)

    assert worst(made, 0.2) > 0.2


@pytest.mark.parametrize("hard", [1e-9, 1.0])
def test_inputs_that_are_all_alike_are_shared_out_too(hard: float) -> None:
    made = offloads(wish(0.2), np.full(3000, hard))

    assert worst(made[WINDOW:], 0.2) <= 0.02


@given(st.floats(0, 1), st.lists(st.booleans(), max_size=60))
def test_debt_is_what_was_wished_minus_what_was_sent(share: float, sent: list[bool]) -> None:
    budget, keeper = wish(share), ShareKeeper()

    for asked in sent:
        keeper = keeper.after_input(budget, asked_cloud=asked)

    assert keeper.owed == pytest.approx(share * len(sent) - sum(sent))


def test_another_window_begins_without_a_debt() -> None:
    keeper = ShareKeeper(400.0, 100_000)

    assert keeper.to_go_for(wish(0.2, 500)) == 0.2
    assert keeper.after_input(wish(0.2, 500), asked_cloud=False) == ShareKeeper(0.2, 500)
