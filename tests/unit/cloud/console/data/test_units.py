import math

import pytest

from nestling_cloud.console.data import units

S = "\u202f"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12, "12"),
        (10_000, f"10{S}000"),
        (1234.5, f"1{S}234"),
        (0.4216, "0.422"),
        (4.236, "4.24"),
        (123.4, "123"),
        (-0.05, "-0.0500"),
        (math.nan, units.NOTHING),
        (math.inf, units.NOTHING),
    ],
)
def test_number_has_three_significant_digits_or_groups_of_three(value: float, text: str) -> None:
    assert units.number(value) == text


@pytest.mark.parametrize(
    ("energy_mj", "text"),
    [
        (0, f"0{S}mJ"),
        (4.2361, f"4.24{S}mJ"),
        (0.0042, f"4.20{S}\u00b5J"),
        (-2500, f"-2.50{S}J"),
        (3e6, f"3{S}kJ"),
    ],
)
def test_energy_has_a_fitting_unit(energy_mj: float, text: str) -> None:
    assert units.energy(energy_mj) == text


def test_sizes_latencies_macs_and_shares_have_units() -> None:
    assert units.size(41_300) == f"41.3{S}kB"
    assert units.size(0) == f"0{S}B"
    assert units.latency(0.42) == f"0.420{S}ms"
    assert units.latency(1500) == f"1.50{S}s"
    assert units.macs(2_060_000) == f"2.06{S}MMAC"
    assert units.macs(12) == f"12{S}MAC"
    assert units.percent(0.2) == f"20.0{S}%"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "now"), (0.5, "now"), (59, f"59{S}s ago"), (7200, f"2{S}h ago")]
)
def test_age_has_one_unit(seconds: float, text: str) -> None:
    assert units.age(0, int(seconds * 1000)) == text
