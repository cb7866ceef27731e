"""What the console says about guarantees and audits."""

from typing import Any

import pytest

from nestling_cloud.console.data.guarantee import (
    agreement,
    device_guarantee,
    fleet_guarantee,
    revisions,
    table_guarantee,
)
from nestling_cloud.metrics.views import FleetView
from nestling_cloud.store.time_range import TimeRange
from tests.support.console_views import START_MS, device_row, nothing, totals


def plain(texts: tuple[str, str]) -> tuple[str, str]:
    first, second = (text.replace("\u202f", " ") for text in texts)
    return first, second


@pytest.mark.parametrize(
    ("reported", "on_its_page", "in_the_table"),
    [
        ({}, ("\u2013", "no tolerated risk"), "\u2013"),
        (
            {"tolerated_risk": 0.05, "guaranteed_since_ms": START_MS},
            ("at most 5.0 %", "guaranteed since 2023-11-14 22:13:20 UTC"),
            "at most 5.0 %",
        ),
        (
            {"tolerated_risk": 0.05, "inputs_to_go": 1200},
            ("5.0 %", "not certified, about 1 200 inputs to go"),
            "5.0 %, 1 200 to go",
        ),
        ({"tolerated_risk": 0.0}, ("0.0 %", "not certified"), "0.0 %, not certified"),
    ],
)
def test_risk_is_shown_as_guaranteed_or_with_what_is_missing(
    reported: dict[str, Any], on_its_page: tuple[str, str], in_the_table: str
) -> None:
    row = device_row("watch", **reported)

    assert plain(device_guarantee(row)) == on_its_page
    assert table_guarantee(row).replace("\u202f", " ") == in_the_table


def fleet(tolerating: int, guaranteed: int) -> FleetView:
    return FleetView(
        range=TimeRange(since_ms=0, until_ms=1),
        known=5,
        online=5,
        answering=5,
        bundles={},
        residents={},
        totals=nothing(),
        dropped=0,
        tolerating=tolerating,
        guaranteed=guaranteed,
    )


def test_fleet_counts_guaranteed_devices_among_those_with_a_tolerated_risk() -> None:
    assert fleet_guarantee(fleet(3, 2)) == ("2 of 3", "devices with a tolerated risk")
    assert fleet_guarantee(fleet(3, 0))[0] == "0 of 3"
    assert fleet_guarantee(fleet(0, 0)) == ("\u2013", "no device has a tolerated risk")


def test_agreement_has_its_interval_and_the_number_of_audits() -> None:
    given = totals(audited=100, agreeing=90)

    assert plain(agreement(given)) == ("90.0 %", "95 % interval 82.4 % to 95.1 %, 100 audits")
    assert plain(agreement(totals(audited=1, agreeing=0)))[1].endswith("97.5 %, 1 audit")
    assert agreement(totals()) == ("\u2013", "no audits")


def test_deferred_inputs_are_shown_with_what_became_of_them() -> None:
    given = totals(deferred=9, revised=6, changed=2)

    assert revisions(given) == ("9", "6 answered later, 2 changed")
    assert revisions(totals(deferred=9, revised=6, changed=2, expired=1)) == (
        "9",
        "6 answered later, 2 changed, 1 expired (audits included)",
    )
