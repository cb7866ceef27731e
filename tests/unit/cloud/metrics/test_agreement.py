import pytest
from scipy.stats import beta, binom

from nestling_cloud.metrics.agreement import agreement_interval


@pytest.mark.parametrize("audited", [1, 2, 7, 100, 1000, 3_000_000])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.97, 1.0])
def test_interval_is_that_of_clopper_and_pearson(audited: int, share: float) -> None:
    agreeing = round(share * audited)

    low, high = agreement_interval(agreeing, audited)

    differing = audited - agreeing
    exact_low = beta.ppf(0.025, agreeing, differing + 1) if agreeing else 0.0
    exact_high = beta.ppf(0.975, agreeing + 1, differing) if differing else 1.0
    assert (low, high) == pytest.approx((exact_low, exact_high), abs=1e-9)


@pytest.mark.parametrize("agreement", [0.03, 0.5, 0.9, 0.99])
def test_interval_holds_the_agreement_with_the_stated_probability(agreement: float) -> None:
    audited = 60
    held = 0.0
    for agreeing in range(audited + 1):
        low, high = agreement_interval(agreeing, audited)
        if low <= agreement <= high:
            held += binom.pmf(agreeing, audited, agreement)

    assert held >= 0.95


def test_lower_confidence_gives_a_narrower_interval() -> None:
    wide, narrow = agreement_interval(90, 100), agreement_interval(90, 100, confidence=0.5)

    assert wide[0] < narrow[0] < 0.9 < narrow[1] < wide[1]
