"""What the console says about guarantees and audits."""

from dataclasses import replace
from typing import Any

import pytest

from nestling_cloud.console.data.guarantee import (
    agreement,
    device_guarantee,
    fleet_guarantee,
    revisions,
    table_guarantee,
)
from nestling_cloud.metrics.fleet_guarantees import FleetGuarantees
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
        (
            {"tolerated_risk": 0.05, "inputs_to_go": 1200, "guarantee_alarms": 1},
            ("5.0 %", "not certified, about 1 200 inputs to go; 1 alarm"),
            "5.0 %, 1 200 to go; 1 alarm",
        ),
        (
            {"tolerated_risk": 0.05, "guaranteed_since_ms": START_MS, "guarantee_alarms": 2},
            ("at most 5.0 %", "guaranteed since 2023-11-14 22:13:20 UTC; 2 alarms"),
            "at most 5.0 %; 2 alarms",
        ),
        (
            {"tolerated_risk": 0.0, "guarantee_alarms": 0},
            ("0.0 %", "not certified"),
            "0.0 %, not certified",
        ),
    ],
)
def test_risk_is_shown_as_guaranteed_or_with_what_is_missing(
    reported: dict[str, Any], on_its_page: tuple[str, str], in_the_table: str
) -> None:
    row = device_row("watch", **reported)

    assert plain(device_guarantee(row)) == on_its_page
    assert table_guarantee(row).replace("\u202f", " ") == in_the_table


def fleet(guarantees: FleetGuarantees) -> FleetView:
    return FleetView(
        range=TimeRange(since_ms=0, until_ms=1),
        known=5,
        online=5,
        answering=5,
        bundles={},
        residents={},
        totals=nothing(),
        dropped=0,
        guarantees=guarantees,
    )


def test_fleet_counts_guaranteed_devices_among_those_with_a_tolerated_risk() -> None:
    two = FleetGuarantees(tolerating=3, guaranteed=2, guaranteed_since_ms=START_MS)
    since = "devices with a tolerated risk, the last since 2023-11-14 22:13:20 UTC"

    assert fleet_guarantee(fleet(two)) == ("2 of 3", since)
    assert plain(fleet_guarantee(fleet(replace(two, alarmed=1, inputs_to_go=1200)))) == (
        "2 of 3",
        f"{since}; as far as known, up to about 1 200 inputs to go; 1 with alarms",
    )
    none = fleet_guarantee(fleet(FleetGuarantees(tolerating=3)))
    assert none == ("0 of 3", "devices with a tolerated risk")
    assert fleet_guarantee(fleet(FleetGuarantees())) == (
        "\u2013",
        "no device has a tolerated risk",
    )


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
