import math

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import (
    AuditedThreshold,
    Calibration,
    Cascade,
    GuaranteePlan,
    RoutingCurve,
)
from nestling_cloud.bundles.guarantee_text import guarantee_estimates, guarantee_lines
from nestling_core.guarantee.bets import blocks_until_proof
from nestling_core.guarantee.certification import DELTA

PLAN = GuaranteePlan(
    thresholds=[
        AuditedThreshold(accept_threshold=0.0, kept=500, changed=0),
        AuditedThreshold(accept_threshold=0.1, kept=800, changed=16),
        AuditedThreshold(accept_threshold=0.2, kept=1000, changed=100),
    ],
    inputs=1000,
    dependence=10,
)
PLANNED = RoutingCurve(guarantee=PLAN)
# Certified first by the most cautious threshold, and at 10 % by the second one.
SHARES = [0.5, 0.5, 0.5, 0.2]
TEXT = (
    "1% after 7,500 (sends 50%), 2% after 3,500 (sends 50%), 5% after 1,300 (sends 50%), "
    "10% after 560 (sends 20%)"
)


def test_estimates_list_each_capacity_and_its_cascade() -> None:
    calibration = Calibration(
        curves=[RoutingCurve(), PLANNED],
        cascades=[Cascade(), Cascade(start=1, curve=PLANNED)],
    )

    first, second = guarantee_estimates(calibration)

    assert first == {"capacity": 1, "estimates": [], "start": 0, "by_cascade": []}
    assert (second["capacity"], second["start"]) == (2, 1)
    assert second["estimates"] == second["by_cascade"]
    assert [one["risk"] for one in second["estimates"]] == [0.01, 0.02, 0.05, 0.1]
    assert [one["offload_share"] for one in second["estimates"]] == pytest.approx(SHARES)


def test_estimate_is_the_number_of_blocks_times_their_length() -> None:
    (entry,) = guarantee_estimates(Calibration(curves=[PLANNED]))

    inputs = [one["inputs"] for one in entry["estimates"]]
    payoff = np.array([0.5 * (0.05 - 0.5 / 501)])
    # The suggested threshold is the most cautious one, and has the parts of delta of both.
    easier = np.log(1 / (0.7 * DELTA)) / np.log(2 / DELTA)
    blocks = blocks_until_proof(payoff, 0.05, DELTA)[0]
    assert inputs[2] == math.ceil(10 * easier * blocks)
    assert inputs == sorted(inputs, reverse=True)


def test_lines_round_the_numbers_and_say_that_they_are_no_guarantee() -> None:
    listed = guarantee_estimates(
        Calibration(
            curves=[RoutingCurve(), PLANNED],
            cascades=[Cascade(), Cascade(start=1, curve=PLANNED)],
        )
    )

    heading, *lines = guarantee_lines(listed)

    assert "an estimate from calibration inputs, no guarantee" in heading
    assert lines == [
        (
            "  capacity 1: none can be certified; the bundle had too few calibration inputs, or "
            "its clients found that the cloud is worse"
        ),
        f"  capacity 2: {TEXT}",
        f"  cascade from 1 to 2: {TEXT}",
    ]


def test_risk_that_no_threshold_keeps_cannot_be_foreseen() -> None:
    plan = GuaranteePlan(
        thresholds=[AuditedThreshold(accept_threshold=0.0, kept=900, changed=45)],
        inputs=1000,
        dependence=1,
    )

    (entry,) = guarantee_estimates(Calibration(curves=[RoutingCurve(guarantee=plan)]))

    assert [one["inputs"] is None for one in entry["estimates"]] == [True, True, True, False]
    assert entry["estimates"][0]["offload_share"] is None
    assert "1% not foreseeable, 2% not foreseeable" in guarantee_lines([entry])[1]


def test_calibration_without_cascades_has_estimates_too() -> None:
    listed = guarantee_estimates(Calibration(curves=[PLANNED]))

    assert [one["start"] for one in listed] == [0]
    assert len(guarantee_lines(listed)) == 2
