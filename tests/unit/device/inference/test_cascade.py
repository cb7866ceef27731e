"""An agent with a cascade: a small capacity first, and a larger one where it pays."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Calibration
from nestling_core.kinds.kind import Answer
from nestling_core.routing.admission import offload_bytes
from nestling_core.wire.choice import plain_form
from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.inference.offloader import UnreachableError
from tests.support.agent_rig import METER, budget, like, make_rig, routes, student_class
from tests.support.hand_bundle import (
    HARD,
    MACS,
    MEMORY_BYTES,
    SHAPE,
    hand_bundle,
    larger_runs,
    load_hand_bundle,
    window,
)
from tests.support.hand_guarantee import with_plans

BOTH = MEMORY_BYTES[0] + MEMORY_BYTES[2]
FAR_BETTER = window(0.4, 0.4, 0.8, 0.9)  # capacity 3 pays, the cloud does not
SIMILAR = window(0.7, 0.7, 0.8, 0.8)
CASCADED_AND_SENT = window(0.1, 0.1, 0.45, 0.9)


def test_cascade_uses_its_own_thresholds(tmp_path: Path) -> None:
    between = window(0.6, 0.6, 0.65, 0.9)  # the cloud is better by 0.25 to 0.3
    both = make_rig(tmp_path, bundle=hand_bundle(calibration=larger_runs()))
    one = make_rig(tmp_path, bundle=hand_bundle(calibration=larger_runs()))

    found = [
        both.agent.answer(0, between, budget(memory_bytes=BOTH)),
        one.agent.answer(0, between, budget(memory_bytes=MEMORY_BYTES[2])),
    ]

    assert routes(found) == [(1, "accepted"), (0, "escalated")]


def test_larger_capacity_runs_alone_while_the_first_one_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = hand_bundle(calibration=larger_runs())
    template = tmp_path / bundle[0].capacities[0].template.sha256
    budgets = []

    def grow(memory_bytes: int) -> LoadedBundle:
        budgets.append(memory_bytes)
        if len(budgets) == 1:
            raise DeliveryError("the cloud cannot be reached")
        return load_hand_bundle(tmp_path, bundle=bundle)  # writes what is missing

    rig = make_rig(tmp_path, bundle=bundle, grow=grow)
    template.unlink()
    receipts = [rig.agent.answer(n, SIMILAR, budget(memory_bytes=BOTH)) for n in range(4)]

    assert routes(receipts) == [(3, "accepted")] * 3 + [(1, "accepted")]
    assert len(caplog.messages) == 1  # not retried with every input
    assert budgets == [BOTH, BOTH]


@pytest.mark.parametrize(
    ("given_window", "route", "macs"),
    [
        (SIMILAR, (1, "accepted"), MACS[0]),
        (FAR_BETTER, (3, "accepted"), MACS[0] + MACS[2]),
        (CASCADED_AND_SENT, (0, "escalated"), MACS[0] + MACS[2]),
        (HARD, (0, "gated"), MACS[0]),
    ],
    ids=["first is enough", "cascades", "cascades and escalates", "gated"],
)
def test_larger_capacity_runs_where_it_pays(
    tmp_path: Path, given_window: NDArray[np.float32], route: tuple[int, str], macs: int
) -> None:
    rig = make_rig(tmp_path, bundle=hand_bundle(calibration=larger_runs()))

    receipt = rig.agent.answer(0, given_window, budget(memory_bytes=BOTH))

    assert routes([receipt]) == [route]
    assert receipt.resident_capacity == 3
    runs = 1 if macs == MACS[0] else 2
    ran = 1 if runs == 1 else 3
    assert receipt.device_answer == student_class(tmp_path, given_window, ran, larger_runs())
    (compute,) = [entry.energy_mj for entry in receipt.energy if entry.source == "compute"]
    # Each run costs the board's overhead.
    overhead = (runs - 1) * METER.estimate(0).energy_mj
    assert compute == pytest.approx(METER.estimate(macs).energy_mj + overhead)


def test_energy_target_accounts_for_the_share_that_runs_the_larger_capacity(
    tmp_path: Path,
) -> None:
    made = Calibration.FromString(larger_runs())
    made.cascades[2].larger_share = 0.5
    rig = make_rig(tmp_path, bundle=hand_bundle(calibration=made.SerializeToString()))
    first, last = (METER.estimate(MACS[index]).energy_mj for index in (0, 2))
    link = budget(memory_bytes=BOTH)
    sent = METER.radio_mj(offload_bytes(plain_form(SHAPE)), link)
    # A share of 0.5 sends CASCADED_AND_SENT; a slightly smaller share does not.
    half = first + 0.5 * last + 0.5 * sent

    found = [
        rig.agent.answer(0, CASCADED_AND_SENT, like(link, energy_per_input_mj=energy_mj))
        for energy_mj in (half, half - 0.4 * sent)
    ]

    assert routes(found) == [(0, "escalated"), (3, "accepted")]


def test_failed_offload_at_the_gate_falls_back_to_the_larger_capacity(
    tmp_path: Path,
) -> None:
    bundle = hand_bundle(calibration=larger_runs())
    rig = make_rig(tmp_path, UnreachableError("gone"), bundle=bundle)
    gated = window(0.1, 0.1, 0.45, 1.0)  # the cloud is better than capacity 3 by 0.55

    receipt = rig.agent.answer(0, gated, budget(memory_bytes=BOTH))

    assert routes([receipt]) == [(3, "unreachable")]
    assert receipt.answer == student_class(tmp_path, gated, 3, larger_runs())
    (request,) = rig.cloud.requests
    assert request.device_answer == Answer(student_class(tmp_path, gated, 1, larger_runs()))


def test_larger_capacity_runs_before_an_input_is_sent_under_a_tolerated_risk(
    tmp_path: Path,
) -> None:
    made = Calibration.FromString(larger_runs())
    for point in made.cascades[2].curve.points:
        point.gate_threshold = point.accept_threshold
    bundle = hand_bundle(calibration=with_plans(made, -1.0))
    rig = make_rig(tmp_path, bundle=bundle)
    both = budget(memory_bytes=BOTH)

    found = [
        rig.agent.answer(0, CASCADED_AND_SENT, like(both, tolerated_risk=risk))
        for risk in (0.0, 0.05)
    ]

    assert routes(found) == [(0, "gated"), (0, "escalated")]
    first, both_mj = (
        next(entry.energy_mj for entry in receipt.energy if entry.source == "compute")
        for receipt in found
    )
    assert both_mj == pytest.approx(first + METER.estimate(MACS[2]).energy_mj)


def test_larger_capacity_runs_alone_when_memory_does_not_admit_both(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, bundle=hand_bundle(calibration=larger_runs()))

    receipt = rig.agent.answer(0, SIMILAR, budget(memory_bytes=BOTH - 1))

    assert routes([receipt]) == [(3, "accepted")]


def test_cascade_runs_without_a_link(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, bundle=hand_bundle(calibration=larger_runs()))
    alone = budget(memory_bytes=BOTH, link_mbit_s=0)

    found = [rig.agent.answer(n, one, alone) for n, one in enumerate((SIMILAR, CASCADED_AND_SENT))]

    assert routes(found) == [(1, "no_link"), (3, "no_link")]
