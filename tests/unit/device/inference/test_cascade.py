"""An agent that holds two capacities: the small one first, the large one where it is worth it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Calibration
from nestling_core.routing.admission import offload_bytes, transfer_ms
from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.inference.offloader import UnreachableError
from tests.support.agent_rig import METER, budget, like, routes, student_class, world
from tests.support.hand_bundle import (
    HARD,
    MACS,
    MEMORY_BYTES,
    SHAPE,
    hand_bundle,
    hand_parts,
    larger_runs,
    window,
)

BOTH = MEMORY_BYTES[0] + MEMORY_BYTES[2]
FAR_BETTER = window(0.4, 0.4, 0.8, 0.9)  # capacity 3 is worth its run, the cloud is not
MUCH_ALIKE = window(0.7, 0.7, 0.8, 0.8)
UP_AND_AWAY = window(0.1, 0.1, 0.45, 0.9)


def test_cascade_has_thresholds_of_its_own(tmp_path: Path) -> None:
    between = window(0.6, 0.6, 0.65, 0.9)  # the cloud is better by 0.25 to 0.3
    both = world(tmp_path, bundle=hand_bundle(calibration=larger_runs()))
    one = world(tmp_path, bundle=hand_bundle(calibration=larger_runs()))

    found = [
        both.agent.answer(0, between, budget(memory_bytes=BOTH)),
        one.agent.answer(0, between, budget(memory_bytes=MEMORY_BYTES[2])),
    ]

    assert routes(found) == [(1, "accepted"), (0, "escalated")]


def test_damaged_start_does_not_cost_the_larger_capacity_and_is_fetched_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = hand_bundle(calibration=larger_runs())
    template = tmp_path / bundle[0].capacities[0].template.sha256
    asked = []

    def grow(memory_bytes: int) -> LoadedBundle:
        asked.append(memory_bytes)
        if len(asked) == 1:
            raise DeliveryError("no way through")
        return hand_parts(tmp_path, bundle=bundle)  # writes what is missing

    w = world(tmp_path, bundle=bundle, grow=grow)
    template.unlink()
    receipts = [w.agent.answer(n, MUCH_ALIKE, budget(memory_bytes=BOTH)) for n in range(4)]

    assert routes(receipts) == [(3, "accepted")] * 3 + [(1, "accepted")]
    assert len(caplog.messages) == 1  # it is not tried again with every input
    assert asked == [BOTH, BOTH]


@pytest.mark.parametrize(
    ("given_window", "route", "macs"),
    [
        (MUCH_ALIKE, (1, "accepted"), MACS[0]),
        (FAR_BETTER, (3, "accepted"), MACS[0] + MACS[2]),
        (UP_AND_AWAY, (0, "escalated"), MACS[0] + MACS[2]),
        (HARD, (0, "gated"), MACS[0]),
    ],
    ids=["start is enough", "cascades", "cascades and escalates", "gated"],
)
def test_larger_capacity_runs_where_it_is_worth_its_run(
    tmp_path: Path, given_window: NDArray[np.float32], route: tuple[int, str], macs: int
) -> None:
    w = world(tmp_path, bundle=hand_bundle(calibration=larger_runs()))

    receipt = w.agent.answer(0, given_window, budget(memory_bytes=BOTH))

    assert routes([receipt]) == [route]
    assert receipt.resident_capacity == 3
    starts = 1 if macs == MACS[0] else 2
    ran = 1 if starts == 1 else 3
    assert receipt.device_answer == student_class(tmp_path, given_window, ran, larger_runs())
    (compute,) = [entry.energy_mj for entry in receipt.energy if entry.source == "compute"]
    # Each start costs the board's overhead.
    overhead = (starts - 1) * METER.estimate(0).energy_mj
    assert compute == pytest.approx(METER.estimate(macs).energy_mj + overhead)


def test_while_inputs_drift_only_the_first_capacity_looks_at_what_goes_to_the_cloud(
    tmp_path: Path,
) -> None:
    made = Calibration.FromString(larger_runs())
    for curve in (*made.curves, made.cascades[2].curve):
        curve.certified.add(risk=0.05, delta=0.1, gate_threshold=0.95, accept_threshold=0.9)
    w = world(tmp_path, bundle=hand_bundle(calibration=made.SerializeToString()))
    tolerant = budget(memory_bytes=BOTH, tolerated_risk=0.05)

    found = [w.agent.answer(index, UP_AND_AWAY, tolerant) for index in range(150)]

    assert routes([found[0], found[-1]]) == [(3, "accepted"), (0, "gated")]
    (compute,) = [entry.energy_mj for entry in found[-1].energy if entry.source == "compute"]
    assert compute == pytest.approx(METER.estimate(MACS[0]).energy_mj)


def test_energy_of_the_mean_input_counts_the_share_that_runs_the_larger_capacity(
    tmp_path: Path,
) -> None:
    made = Calibration.FromString(larger_runs())
    made.cascades[2].larger_share = 0.5
    w = world(tmp_path, bundle=hand_bundle(calibration=made.SerializeToString()))
    first, last = (METER.estimate(MACS[index]).energy_mj for index in (0, 2))
    link = budget(memory_bytes=BOTH)
    sent = METER.radio_mj(offload_bytes(SHAPE), link)
    # At the half of all inputs UP_AND_AWAY goes; a little less than a half sends nothing so hard.
    half = first + 0.5 * last + 0.5 * sent

    found = [
        w.agent.answer(0, UP_AND_AWAY, like(link, energy_per_input_mj=energy_mj))
        for energy_mj in (half, half - 0.4 * sent)
    ]

    assert routes(found) == [(0, "escalated"), (3, "accepted")]


def test_gated_input_that_the_cloud_does_not_answer_runs_the_larger_capacity(
    tmp_path: Path,
) -> None:
    bundle = hand_bundle(calibration=larger_runs())
    w = world(tmp_path, UnreachableError("gone"), bundle=bundle)
    worth = window(0.1, 0.1, 0.45, 1.0)  # the cloud is better than capacity 3 by 0.55

    receipt = w.agent.answer(0, worth, budget(memory_bytes=BOTH))

    assert routes([receipt]) == [(3, "unreachable")]
    assert receipt.answer == student_class(tmp_path, worth, 3, larger_runs())
    (question,) = w.cloud.questions
    assert question.device_answer == student_class(tmp_path, worth, 1, larger_runs())


def test_input_that_the_gate_would_send_is_kept_outside_the_guarantee(tmp_path: Path) -> None:
    made = Calibration.FromString(larger_runs())
    # After capacity 3 it would stay: the guarantee counts it as sent all the same.
    made.cascades[2].curve.certified.add(
        risk=0.05, delta=0.1, gate_threshold=0.4, accept_threshold=0.9
    )
    w = world(tmp_path, bundle=hand_bundle(calibration=made.SerializeToString()))
    tolerant = budget(memory_bytes=BOTH, tolerated_risk=0.05)
    sent = transfer_ms(offload_bytes(SHAPE), tolerant)
    ran = METER.estimate(MACS[0]).latency_ms

    found = [
        w.agent.answer(0, UP_AND_AWAY, like(tolerant, latency_ms=sent + part * ran))
        for part in (0.999, 1.001)
    ]

    assert routes(found) == [(3, "latency_limit"), (0, "gated")]


def test_one_capacity_runs_at_once_where_memory_does_not_admit_both(tmp_path: Path) -> None:
    w = world(tmp_path, bundle=hand_bundle(calibration=larger_runs()))

    receipt = w.agent.answer(0, MUCH_ALIKE, budget(memory_bytes=BOTH - 1))

    assert routes([receipt]) == [(3, "accepted")]


def test_without_the_cloud_the_device_runs_the_larger_capacity_too(tmp_path: Path) -> None:
    w = world(tmp_path, bundle=hand_bundle(calibration=larger_runs()))
    alone = budget(memory_bytes=BOTH, link_mbit_s=0)

    found = [w.agent.answer(n, one, alone) for n, one in enumerate((MUCH_ALIKE, UP_AND_AWAY))]

    assert routes(found) == [(1, "no_link"), (3, "no_link")]
