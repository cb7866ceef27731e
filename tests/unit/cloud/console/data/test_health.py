"""The health rules: each problem is found, and a healthy fleet has no findings."""

from dataclasses import replace
from typing import Any

import pytest

from nestling_cloud.console.data.health import (
    Finding,
    Offloads,
    Severity,
    Snapshot,
    device_findings,
    fleet_findings,
)
from nestling_cloud.console.data.rounds import DroppedClient, RoundView
from nestling_cloud.metrics.fleet_health import LONG_OUTBOX, FleetCondition, Losses
from nestling_cloud.telemetry.ingest_status import IngestStatus
from tests.support.console_views import START_MS, device_row

BUNDLE = "hand-1-00000000"
NOW_MS = START_MS + 240_000
FLEET = FleetCondition(
    known=3,
    connected=3,
    last_seen_ms=NOW_MS - 1000,
    last_answered_ms=NOW_MS - 1000,
    bundles={BUNDLE: 3},
    long_outboxes=0,
    clocks_unset=0,
    losses=Losses(),
)
HEALTHY = Snapshot(
    now_ms=NOW_MS,
    uplink=IngestStatus(broker="127.0.0.1:1883", connected=True),
    fleet=FLEET,
    desired=BUNDLE,
)
ROUND = RoundView(
    run="run-1",
    number=2,
    place=2,
    ended_at_ms=START_MS,
    invited=3,
    used=3,
    examples=30,
    calibration_accuracy=(0.5,),
    dropped=(),
    averaged=True,
    bundle_version="hand-2",
    verdict="better",
)


def _fleet(**changed: Any) -> Snapshot:
    return replace(HEALTHY, fleet=replace(FLEET, **changed))


def _texts(findings: tuple[Finding, ...]) -> str:
    return " ".join(f"[{one.severity.value}] {one.text}" for one in findings).replace("\u202f", " ")


def test_healthy_fleet_has_no_findings() -> None:
    assert fleet_findings(HEALTHY) == ()
    assert fleet_findings(_fleet(known=0, connected=0, last_seen_ms=None, bundles={})) == ()
    assert fleet_findings(replace(HEALTHY, last_round=ROUND)) == ()
    assert device_findings(HEALTHY, device_row("watch"), Losses()) == ()


def test_fleet_without_connected_devices_is_a_fault() -> None:
    away = _fleet(connected=0, last_seen_ms=START_MS, bundles={})

    assert _texts(fleet_findings(away)) == (
        "[fault] No device is connected. Last message: 4 min ago."
    )


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        (
            replace(HEALTHY, uplink=IngestStatus(broker="b:1", connected=False)),
            "[fault] The cloud has no connection to the broker at b:1",
        ),
        (
            replace(HEALTHY, uplink=replace(HEALTHY.uplink, store_fault="disk I/O error")),
            "[fault] Receipts cannot be stored: disk I/O error.",
        ),
        (
            replace(HEALTHY, desired="", release_fault="the manifest is damaged"),
            "[fault] There is no bundle for devices to run: the manifest is damaged",
        ),
        (
            _fleet(last_seen_ms=NOW_MS + 120_000),
            "[fault] This machine's clock is wrong",
        ),
        (_fleet(connected=2), "[note] 1 of 3 devices is not connected."),
        (_fleet(connected=1), "[warning] 2 of 3 devices are not connected."),
        (
            _fleet(bundles={BUNDLE: 1, "hand-0": 2}),
            f"[warning] 2 of 3 connected devices are not running the desired bundle {BUNDLE}.",
        ),
        (_fleet(long_outboxes=1), "[warning] 1 of 3 connected devices is holding more than 1 000"),
        (_fleet(clocks_unset=1), "[warning] 1 of 3 connected devices is dating answers before"),
        (
            replace(HEALTHY, offloads=Offloads(answered=4, fallbacks=6)),
            "[warning] The cloud answered 4 of 10 inputs",
        ),
        (_fleet(last_answered_ms=NOW_MS - 1_200_000), "[note] No device is answering inputs; the"),
        (
            _fleet(losses=Losses(dropped=5)),
            "[note] Since the store was created, some receipts of the fleet have been lost",
        ),
        (
            _fleet(losses=Losses(rejected=2, forgotten=1)),
            "2 rejected because their values were invalid",
        ),
        (
            _fleet(losses=Losses(unreadable=3)),
            "missing from all figures: 3 damaged on the device's disk",
        ),
        (_fleet(damaged=2), "[warning] 2 rows of the store are damaged and left out"),
        (
            replace(HEALTHY, last_round=replace(ROUND, averaged=False, used=1)),
            "[warning] The last federated round (run-1, round 2) did not change the model: ",
        ),
        (
            replace(HEALTHY, last_round=replace(ROUND, bundle_version="", verdict="it got worse")),
            "[warning] The last federated round (run-1, round 2) released nothing: it got worse",
        ),
        (
            replace(
                HEALTHY,
                last_round=replace(ROUND, dropped=(DroppedClient(device="a", reason="late"),)),
            ),
            "[note] The last federated round (run-1, round 2) left out 1 of 3 clients.",
        ),
    ],
)
def test_problem_of_a_fleet_is_found(snapshot: Snapshot, expected: str) -> None:
    findings = fleet_findings(snapshot)

    assert len(findings) == 1
    assert expected in _texts(findings)


@pytest.mark.parametrize(
    "offloads", [Offloads(answered=5, fallbacks=5), Offloads(answered=1, fallbacks=8)]
)
def test_few_fallbacks_are_no_finding(offloads: Offloads) -> None:
    assert fleet_findings(replace(HEALTHY, offloads=offloads)) == ()


def test_lost_broker_is_not_reported_as_disconnected_devices() -> None:
    gone = replace(
        _fleet(connected=0, bundles={}), uplink=IngestStatus(broker="b:1", connected=False)
    )

    assert [one.severity for one in fleet_findings(gone)] == [Severity.FAULT]
    assert len(device_findings(gone, replace(device_row("a"), online=False), Losses())) == 1


def test_worst_finding_comes_first() -> None:
    many = replace(
        _fleet(connected=0, bundles={}, losses=Losses(dropped=1)),
        last_round=replace(ROUND, averaged=False),
    )

    assert [one.severity for one in fleet_findings(many)] == [
        Severity.FAULT,
        Severity.WARNING,
        Severity.NOTE,
    ]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"online": False},
            "[fault] This device is not connected. Last message: 4 min ago.",
        ),
        (
            {"bundle_version": "hand-0"},
            f"[warning] This device runs hand-0 and should run {BUNDLE}.",
        ),
        ({"bundle_version": ""}, "[warning] This device runs an unknown bundle and should run"),
        (
            {"outbox_depth": LONG_OUTBOX + 1},
            "[warning] This device is holding 1 001 receipts that are",
        ),
    ],
)
def test_problem_of_a_device_is_found(changed: dict[str, Any], expected: str) -> None:
    findings = device_findings(HEALTHY, replace(device_row("watch"), **changed), Losses())

    assert len(findings) == 1
    assert expected in _texts(findings)


def test_lost_receipts_of_a_device_are_found() -> None:
    (finding,) = device_findings(HEALTHY, device_row("watch"), Losses(dropped=7))

    assert "some receipts of this device have been lost" in finding.text


def test_tolerated_risk_that_is_not_guaranteed_is_a_note() -> None:
    row = device_row("watch", tolerated_risk=0.05, inputs_to_go=300, guarantee_alarms=0)

    assert _texts(device_findings(HEALTHY, row, Losses())) == (
        "[note] The risk of 5.0 % that this device tolerates is not guaranteed yet. Until it is, "
        "the device asks the cloud about every input, unless a limit, a pause or a less accurate "
        "cloud rules that out."
    )
    guaranteed = device_row("watch", tolerated_risk=0.05, guaranteed_since_ms=START_MS)
    assert device_findings(HEALTHY, guaranteed, Losses()) == ()


@pytest.mark.parametrize("alarms", [None, 0])
def test_device_that_may_never_be_certified_is_not_said_to_ask_about_every_input(
    alarms: int | None,
) -> None:
    row = device_row("watch", tolerated_risk=0.05, guarantee_alarms=alarms)

    text = _texts(device_findings(HEALTHY, row, Losses()))

    assert text.startswith("[note] The risk of 5.0 %")
    assert "does not say when it will be" in text
    assert "every input" not in text


def test_device_that_starts_over_after_an_alarm_is_a_warning() -> None:
    row = device_row("watch", tolerated_risk=0.05, inputs_to_go=300, guarantee_alarms=1)

    (finding,) = device_findings(HEALTHY, row, Losses())

    assert finding.severity is Severity.WARNING
    assert "inputs of this device have changed" in finding.text
    assert "(1 alarm so far). The device started over" in _texts((finding,))
    again = replace(row, guaranteed_since_ms=START_MS)
    gone = replace(row, tolerated_risk=None)
    for one in (again, gone, replace(row, online=False)):
        assert "alarm" not in _texts(device_findings(HEALTHY, one, Losses()))
