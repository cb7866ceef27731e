import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling.v1 import receipt_pb2
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import Receipt
from nestling_core.routing.admission import FRAMING_BYTES, transfer_ms
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.energy.measured_costs import MeasuredCosts, NetworkCost
from nestling_device.inference.agent import Agent
from nestling_device.inference.input_errors import InputError, UnanswerableError
from nestling_device.inference.offloader import (
    BadAnswerError,
    DeadlineMissedError,
    OffloadError,
    UnreachableError,
)
from nestling_device.storage.database import StorageError
from nestling_device.telemetry.outbox import Outbox
from tests.support.agent_rig import (
    BUDGET,
    CLOUD_CLASS,
    METER,
    SIZE,
    Growth,
    ScriptedCloud,
    budget,
    like,
    make_rig,
    routes,
    student_class,
)
from tests.support.hand_bundle import (
    CAPACITIES,
    EASY,
    HARD,
    MACS,
    MEMORY_BYTES,
    UNSURE,
    calibration,
    hand_bundle,
    load_hand_bundle,
    template_predicting,
    window,
)


def test_easy_input_is_answered_by_the_device(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)

    receipt = rig.agent.answer(0, EASY, BUDGET)

    assert routes([receipt]) == [(3, "accepted")]
    assert receipt.answer == receipt.device_answer == student_class(tmp_path, EASY)
    assert rig.cloud.request_count == 0


def test_share_of_one_offloads_without_running_a_student(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)

    receipt = rig.agent.answer(0, EASY, budget(offload_share=1.0))

    assert routes([receipt]) == [(0, "gated")]
    assert receipt.answer == CLOUD_CLASS
    assert not receipt.HasField("device_answer")
    assert list(receipt.success) == []
    assert receipt.resident_capacity == 3
    assert {entry.source: entry.energy_mj for entry in receipt.energy}["compute"] == 0


def test_uncertain_answer_is_escalated(tmp_path: Path) -> None:
    receipt = make_rig(tmp_path).agent.answer(0, UNSURE, BUDGET)

    assert routes([receipt]) == [(0, "escalated")]
    assert receipt.answer == CLOUD_CLASS
    assert receipt.device_answer == student_class(tmp_path, UNSURE)


@pytest.mark.parametrize("share", [1.0, 0.5], ids=["no student", "escalated"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DeadlineMissedError("late"), "deadline_missed"),
        (UnreachableError("gone"), "unreachable"),
        (BadAnswerError("nonsense"), "bad_answer"),
        (OffloadError("something else"), "bad_answer"),
    ],
)
def test_failed_offload_falls_back_to_the_devices_answer(
    tmp_path: Path, error: OffloadError, reason: str, share: float
) -> None:
    receipt = make_rig(tmp_path, error).agent.answer(0, HARD, budget(offload_share=share))

    assert routes([receipt]) == [(3, reason)]
    assert receipt.answer == receipt.device_answer == student_class(tmp_path, HARD)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"link_mbit_s": 0}, "no_link"),
        ({"link_mbit_s": 1e-4}, "energy_limit"),
        ({"link_rtt_ms": 2000}, "latency_limit"),
        ({"energy_mj": 4.9}, "energy_limit"),
        ({"energy_mj": 60, "battery": 0.01}, "low_battery"),
    ],
)
def test_offload_over_budget_is_skipped_and_the_receipt_names_the_limit(
    tmp_path: Path, change: dict[str, float], reason: str
) -> None:
    rig = make_rig(tmp_path)
    assert METER.radio_mj(SIZE, BUDGET) > 4.9

    receipt = rig.agent.answer(0, HARD, budget(**change))

    assert routes([receipt])[0][1] == reason
    assert receipt.answer == receipt.device_answer
    assert rig.cloud.request_count == 0


@pytest.mark.parametrize("limit", ["latency_ms", "energy_mj"])
def test_limit_applies_to_the_runs_and_the_offload_together(tmp_path: Path, limit: str) -> None:
    found = make_rig(tmp_path).agent.answer(0, HARD, BUDGET)
    whole = {"latency_ms": transfer_ms(SIZE, BUDGET), "energy_mj": METER.radio_mj(SIZE, BUDGET)}
    ran = METER.estimate(MACS[2])
    whole["latency_ms"] += ran.latency_ms
    whole["energy_mj"] += ran.energy_mj

    tight, too_tight = (
        make_rig(tmp_path).agent.answer(0, HARD, budget(**{limit: whole[limit] * part}))
        for part in (1.001, 0.999)
    )

    reason = limit.replace("_ms", "_limit").replace("_mj", "_limit")
    expected = [(0, "escalated"), (0, "escalated"), (3, reason)]
    assert routes([found, tight, too_tight]) == expected


def test_target_share_sets_the_thresholds(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)

    answers = [rig.agent.answer(0, HARD, budget(offload_share=share)) for share in (0.0, 0.5, 1.0)]
    answers.append(rig.agent.answer(0, EASY, budget(offload_share=1.0)))

    assert routes(answers) == [(3, "accepted"), (0, "escalated"), (0, "gated"), (0, "gated")]


def test_share_is_held_over_its_window_when_every_input_prefers_the_cloud(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    controlled, uncontrolled = budget(target_window=50), budget()

    for index in range(200):
        rig.agent.answer(index, UNSURE, controlled)
    sent = rig.cloud.request_count
    for index in range(10):
        rig.agent.answer(index, UNSURE, uncontrolled)

    assert abs(sent / 200 - 0.5) < 0.03
    # Without a window the threshold stays the same, and every input is sent.
    assert rig.cloud.request_count == sent + 10


def test_failed_offload_counts_towards_the_share(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, BadAnswerError("nonsense"))
    kept = budget(target_window=50)

    reasons = [
        reason for _, reason in routes(rig.agent.answer(n, UNSURE, kept) for n in range(400))
    ]

    not_paused = [reason for reason in reasons if reason != "back_off"]
    assert abs(not_paused.count("bad_answer") / len(not_paused) - 0.5) < 0.2


SLOW = budget(link_mbit_s=0.1, target_window=50)  # an offload costs more than a run
DEVICE, SENT_MS = METER.estimate(MACS[2]), transfer_ms(SIZE, SLOW)
SENT_MJ = METER.radio_mj(SIZE, SLOW)


@pytest.mark.parametrize(
    "asked",
    [
        {"energy_per_input_mj": DEVICE.energy_mj + SENT_MJ / 3},
        {"latency_per_input_ms": DEVICE.latency_ms + SENT_MS / 3},
    ],
    ids=["energy", "latency"],
)
def test_mean_cost_meets_its_target_when_every_input_prefers_the_cloud(
    tmp_path: Path, asked: dict[str, float]
) -> None:
    rig = make_rig(tmp_path)
    target = like(SLOW, **asked)

    found = [rig.agent.answer(n, UNSURE, target) for n in range(300)]

    costs = [
        receipt.latency_ms
        if target.latency_per_input_ms
        else sum(entry.energy_mj for entry in receipt.energy)
        for receipt in found
    ]
    (mean,) = asked.values()
    assert np.mean(costs[100:]) == pytest.approx(mean, rel=0.05)


def test_latency_target_uses_the_median_of_a_run(tmp_path: Path) -> None:
    version = load_hand_bundle(tmp_path / "named").version
    costs = profiled(version, 1.0, 1.0, 1.0, p95_ms=900.0)
    rig = make_rig(tmp_path / "a", costs=costs)
    target = like(SLOW, target_window=0, latency_per_input_ms=1 + SENT_MS)

    assert routes([rig.agent.answer(0, EASY, target)]) == [(0, "gated")]


def test_budget_unused_without_a_link_is_not_spent_later(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    target = like(SLOW, energy_per_input_mj=DEVICE.energy_mj + SENT_MJ / 5)

    for index in range(200):
        rig.agent.answer(index, UNSURE, like(target, link_mbit_s=0))
    after = [rig.agent.answer(n, UNSURE, target) for n in range(200)]

    sent = [route == 0 for route, _ in routes(after)]
    assert sum(sent[:50]) == pytest.approx(50 / 5, abs=2)
    assert sum(sent) == pytest.approx(200 / 5, abs=6)


def certifying(risk: float) -> bytes:
    """Return a calibration with one certified risk, at thresholds above those of share 0.5."""
    made = calibration()
    for curve in made.curves:
        curve.certified.add(risk=risk, delta=0.1, gate_threshold=0.9, accept_threshold=0.5)
    return made.SerializeToString()


@pytest.mark.parametrize(
    ("tolerated", "expected"),
    [
        # no risk tolerated: a share of 0.5 applies
        (0.0, [(3, "accepted"), (0, "escalated"), (0, "escalated")]),
        (0.01, [(0, "gated")] * 3),  # not certified: every input is sent
        (0.05, [(3, "accepted"), (3, "accepted"), (0, "escalated")]),
        (0.5, [(3, "accepted"), (3, "accepted"), (0, "escalated")]),
    ],
)
def test_tolerated_risk_uses_certified_thresholds(
    tmp_path: Path, tolerated: float, expected: list[tuple[int, str]]
) -> None:
    rig = make_rig(tmp_path, bundle=hand_bundle(calibration=certifying(0.05)))

    found = [
        rig.agent.answer(n, given_window, budget(tolerated_risk=tolerated))
        for n, given_window in enumerate((EASY, UNSURE, HARD))
    ]

    assert routes(found) == expected


def test_risk_guarantee_is_suspended_while_inputs_drift(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nestling_device.inference.student")
    rig = make_rig(tmp_path, bundle=hand_bundle(calibration=certifying(0.05)))
    tolerant, sure = budget(tolerated_risk=0.05), window(1.0, 1.0, 1.0, 1.0)

    before = rig.agent.answer(0, EASY, tolerant)
    for index in range(50):
        rig.agent.answer(index, HARD, tolerant)
    drifting = rig.agent.drifting
    during = [rig.agent.answer(0, EASY, one) for one in (tolerant, BUDGET)]
    for index in range(50):
        rig.agent.answer(index, sure, tolerant)
    afterwards = rig.agent.answer(0, EASY, tolerant)

    assert (drifting, rig.agent.drifting) == (True, False)
    # Drift does not affect a target share, which is no guarantee.
    expected = [(3, "accepted"), (0, "escalated"), (3, "accepted"), (3, "accepted")]
    assert routes([before, *during, afterwards]) == expected
    assert len(caplog.messages) == 2
    assert "its risk guarantees do not hold" in caplog.messages[0]
    assert "again" in caplog.messages[1]


def test_drift_is_unknown_when_no_student_ran(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    before = rig.agent.drifting
    for index in range(50):
        rig.agent.answer(index, HARD, BUDGET)
    with_student = rig.agent.drifting
    rig.agent.answer(0, HARD, budget(offload_share=1.0))
    without_student = rig.agent.drifting
    rig.agent.answer(0, HARD, BUDGET)

    found = (before, with_student, without_student, rig.agent.drifting)
    assert found == (None, True, None, True)


def test_pause_after_failed_offloads_doubles_and_resets_on_success(tmp_path: Path) -> None:
    gone = UnreachableError("gone")
    rig = make_rig(tmp_path, gone, gone, None, gone, None)

    reasons = [reason for _, reason in routes(rig.agent.answer(n, HARD, BUDGET) for n in range(9))]

    waits = ["back_off"]
    before = ["unreachable", *waits, "unreachable", *2 * waits, "escalated"]
    assert reasons == [*before, "unreachable", *waits, "escalated"]


def test_receipt_itemizes_energy_and_bytes_by_source(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)

    receipt = rig.agent.answer(7, UNSURE, BUDGET)

    compute_ms = METER.estimate(MACS[2]).latency_ms
    energies = {entry.source: entry.energy_mj for entry in receipt.energy}
    assert energies == {
        "compute": pytest.approx(METER.board.compute_mj(compute_ms)),
        "radio": pytest.approx(METER.radio_mj(300, BUDGET)),
    }
    assert {entry.provenance for entry in receipt.energy} == {receipt_pb2.PROVENANCE_MODELLED}
    assert receipt.latency_provenance == receipt_pb2.PROVENANCE_MODELLED
    assert receipt.latency_ms == pytest.approx(compute_ms + transfer_ms(300, BUDGET))
    assert (receipt.bytes_up, receipt.bytes_down) == (200, 100)
    assert receipt.input_index == 7
    assert receipt.bundle_version == rig.agent.bundle.version
    assert receipt.budget == BUDGET
    assert list(receipt.success) == pytest.approx([0.5, 0.5, 0.5, 0.9])
    assert receipt.answered_at_ms > 0
    assert receipt.wall_ms > 0


@pytest.mark.parametrize(
    ("error", "bytes_up"),
    [(UnreachableError("gone"), FRAMING_BYTES), (DeadlineMissedError("late"), SIZE)],
)
def test_failed_exchange_costs_energy_and_bytes(
    tmp_path: Path, error: OffloadError, bytes_up: int
) -> None:
    receipt = make_rig(tmp_path, error).agent.answer(0, HARD, BUDGET)

    assert (receipt.bytes_up, receipt.bytes_down) == (bytes_up, 0)
    (radio,) = (entry.energy_mj for entry in receipt.energy if entry.source == "radio")
    assert radio == pytest.approx(METER.radio_mj(bytes_up, BUDGET))


def test_offload_request_carries_the_input_index_and_the_student_answer(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)

    gated, escalated = (
        rig.agent.answer(n, HARD, budget(offload_share=share)) for n, share in ((5, 1.0), (6, 0.5))
    )

    sent = [(request.index, request.device_answer) for request in rig.cloud.requests]
    assert sent == [(5, None), (6, escalated.device_answer)]
    assert routes([gated, escalated]) == [(0, "gated"), (0, "escalated")]


@pytest.mark.parametrize("given_window", [EASY, HARD])
def test_receipt_has_the_cost_that_an_offload_would_have_had(
    tmp_path: Path, given_window: NDArray[np.float32]
) -> None:
    receipt = make_rig(tmp_path).agent.answer(0, given_window, BUDGET)

    assert receipt.offload_bytes == SIZE
    assert receipt.offload_energy_mj == pytest.approx(METER.radio_mj(SIZE, BUDGET))
    assert receipt.offload_energy_provenance == receipt_pb2.PROVENANCE_MODELLED


def test_receipt_without_a_link_has_no_offload_cost(tmp_path: Path) -> None:
    receipt = make_rig(tmp_path).agent.answer(0, EASY, budget(link_mbit_s=0))

    assert (receipt.offload_bytes, receipt.offload_energy_mj) == (0, 0)
    assert receipt.offload_energy_provenance == receipt_pb2.PROVENANCE_UNSPECIFIED


def test_answer_on_the_device_costs_no_radio_energy(tmp_path: Path) -> None:
    receipt = make_rig(tmp_path).agent.answer(0, EASY, BUDGET)

    assert {entry.source: entry.energy_mj > 0 for entry in receipt.energy} == {
        "compute": True,
        "radio": False,
    }
    assert (receipt.bytes_up, receipt.bytes_down) == (0, 0)


def test_resident_capacity_follows_the_memory_budget_down_and_up(tmp_path: Path) -> None:
    growth = Growth(tmp_path)
    rig = make_rig(tmp_path, grow=growth)

    memories = [4000, 1999, 2000, 999, 4000]
    answers = [rig.agent.answer(0, EASY, budget(memory_bytes=memory)) for memory in memories]

    assert [receipt.resident_capacity for receipt in answers] == [3, 1, 2, 1, 3]
    assert growth.budgets == []  # every ring was on the disk


def test_resident_capacity_follows_the_energy_budget(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    limit_mj = METER.estimate(MACS[1]).energy_mj

    limited = rig.agent.answer(0, EASY, budget(energy_mj=limit_mj))
    low_battery = rig.agent.answer(1, EASY, budget(energy_mj=limit_mj, battery=0.01))

    assert [limited.resident_capacity, low_battery.resident_capacity] == [2, 1]


def profiled(version: str, *energies_mj: float, p95_ms: float = 2.0) -> MeasuredCosts:
    """Return measured costs that differ only in energy; the median of a run is 1 ms."""
    networks = [
        NetworkCost(
            latency_ms=1,
            latency_p95_ms=p95_ms,
            resident_bytes=1,
            energy_mj=energy_mj,
            energy_provenance="measured",
        )
        for energy_mj in energies_mj
    ]
    return MeasuredCosts(
        bundle=version,
        machine="this one",
        taken_at="",
        meter="ina219",
        idle_w=1.0,
        active_w=1.0,
        capacities=tuple(networks),
    )


def test_measured_costs_take_precedence_over_the_power_table(tmp_path: Path) -> None:
    version = load_hand_bundle(tmp_path / "named").version
    costs = profiled(version, 1.0, 50.0, 80.0)
    measured = make_rig(tmp_path / "a", costs=costs).agent
    modelled = make_rig(tmp_path / "b").agent
    limits = [budget(energy_mj=limit) for limit in (49, 79, 81)]

    resident = [
        [agent.answer(index, EASY, limit).resident_capacity for index, limit in enumerate(limits)]
        for agent in (measured, modelled)
    ]

    assert resident == [[1, 2, 3], [3, 3, 3]]


def test_costs_that_were_not_measured_come_from_the_power_table(
    tmp_path: Path,
) -> None:
    version = load_hand_bundle(tmp_path / "named").version
    other = make_rig(tmp_path / "a", costs=profiled("other", 500.0, 500.0, 500.0)).agent
    partly = make_rig(tmp_path / "b", costs=profiled(version, 500.0, 500.0)).agent

    assert other.answer(0, EASY, budget(energy_mj=100)).resident_capacity == 3
    assert partly.answer(0, EASY, budget(energy_mj=100)).resident_capacity == 3


def test_larger_memory_budget_fetches_more_capacities(tmp_path: Path) -> None:
    growth = Growth(tmp_path)
    rig = make_rig(tmp_path, held=1, grow=growth)

    before = rig.agent.answer(0, EASY, budget(memory_bytes=1000))
    after = rig.agent.answer(1, EASY, budget(memory_bytes=2500))

    assert [before.resident_capacity, after.resident_capacity] == [1, 2]
    assert growth.budgets == [2500]
    assert rig.agent.bundle.held == 2


def test_failed_growth_is_retried_after_a_pause(tmp_path: Path) -> None:
    growth = Growth(tmp_path, failures=2)
    rig = make_rig(tmp_path, held=1, grow=growth)

    answers = [rig.agent.answer(n, EASY, BUDGET) for n in range(7)]

    assert [receipt.resident_capacity for receipt in answers] == [1, 1, 1, 1, 1, 3, 3]
    assert len(growth.budgets) == 3


def test_damaged_ring_disables_its_capacity_until_it_is_fetched_again(
    tmp_path: Path,
) -> None:
    growth = Growth(tmp_path)
    rig = make_rig(tmp_path, grow=growth)
    manifest = rig.agent.bundle.manifest
    (tmp_path / manifest.capacities[1].ring.sha256).write_bytes(b"rust")

    first, second = (rig.agent.answer(n, EASY, BUDGET) for n in range(2))

    assert [first.resident_capacity, second.resident_capacity] == [1, 3]
    assert growth.budgets == [MEMORY_BYTES[-1]]


def test_missing_first_ring_raises_an_error_with_advice(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    (tmp_path / rig.agent.bundle.manifest.capacities[0].ring.sha256).unlink()

    with pytest.raises(DeliveryError, match="install the bundle again"):
        rig.agent.answer(0, EASY, BUDGET)

    assert rig.kept == []


def test_input_that_does_not_fit_the_task_is_refused_without_a_receipt(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)

    with pytest.raises(InputError, match="takes float32"):
        rig.agent.answer(0, np.zeros((3, 2), np.float32), BUDGET)

    assert rig.kept == []
    assert routes([rig.agent.answer(0, EASY, BUDGET)]) == [(3, "accepted")]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_input_too_large_for_a_finite_output_is_refused_and_the_next_is_answered(
    tmp_path: Path, share: float
) -> None:
    rig = make_rig(tmp_path, BadAnswerError("not finite in the cloud either"))
    large = np.full((2, 3), 3e38, np.float32)

    with pytest.raises(UnanswerableError, match=r"up to 3e\+38, is too large: .* capacity 3"):
        rig.agent.answer(0, large, budget(offload_share=share))

    assert rig.kept == []
    assert rig.agent.drifting is None
    receipt = rig.agent.answer(1, EASY, budget(offload_share=0))
    assert routes([receipt])[0][0] == CAPACITIES
    assert all(map(math.isfinite, receipt.success))


def test_multiplexer_output_that_is_not_finite_means_no_answer(tmp_path: Path) -> None:
    template = template_predicting("Sqrt", ["predicted"])
    rig = make_rig(tmp_path, held=1, bundle=hand_bundle(template=template))
    small = budget(memory_bytes=MEMORY_BYTES[0])

    with pytest.raises(UnanswerableError, match="the output of capacity 1 is not finite"):
        rig.agent.answer(0, window(-1, 0, 0, 0), small)

    assert rig.kept == []
    assert routes([rig.agent.answer(0, EASY, small)]) == [(1, "accepted")]


def test_no_answer_when_the_receipt_cannot_be_stored(tmp_path: Path) -> None:
    def keep(receipt: Receipt) -> None:
        raise StorageError("disk full")

    bundle = load_hand_bundle(tmp_path)
    agent = Agent(
        bundle, ScriptedCloud(None), METER, deadline_ms=1, keep=keep, grow=lambda _: bundle
    )

    with pytest.raises(StorageError):
        agent.answer(0, EASY, BUDGET)


def test_returned_answers_are_in_the_outbox(tmp_path: Path) -> None:
    bundle = load_hand_bundle(tmp_path / "blobs")
    with Outbox(tmp_path) as outbox:
        agent = Agent(
            bundle,
            ScriptedCloud(None),
            METER,
            deadline_ms=1,
            keep=outbox.append,
            grow=lambda _: bundle,
        )
        returned = [agent.answer(n, x, BUDGET) for n, x in enumerate((EASY, HARD))]
        kept = outbox.batch(9).batch.receipts

    assert [(r.input_index, r.answer) for r in kept] == [
        (r.input_index, r.answer) for r in returned
    ]


def test_releases_have_different_bundle_versions(tmp_path: Path) -> None:
    versions = {
        load_hand_bundle(tmp_path, bundle=hand_bundle(release)).version for release in (1, 2)
    }

    assert {version.rpartition("-")[0] for version in versions} == {"hand-1", "hand-2"}


_outcomes = st.sampled_from([None, DeadlineMissedError, UnreachableError, BadAnswerError])
_steps = st.tuples(
    st.tuples(*[st.floats(0, 1, width=32)] * (CAPACITIES + 1)),
    st.builds(
        budget,
        memory_bytes=st.integers(500, 5000),
        link_mbit_s=st.sampled_from([0.0, 0.001, 1.0, 20.0]),
        battery=st.floats(0, 1),
        offload_share=st.floats(0, 1),
        target_window=st.sampled_from([0, 5, 500]),
        tolerated_risk=st.sampled_from([0.0, 0.01, 0.1]),
        energy_per_input_mj=st.sampled_from([0.0, 5.0]),
        latency_per_input_ms=st.sampled_from([0.0, 10.0]),
    ),
    _outcomes,
)
Step = tuple[tuple[float, ...], Budget, type[OffloadError] | None]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(trace=st.lists(_steps, min_size=1, max_size=25))
def test_replayed_trace_gives_the_same_receipts_and_answers_every_input(
    tmp_path: Path, trace: Sequence[Step]
) -> None:
    def play() -> list[Receipt]:
        outcomes = [None if kind is None else kind("as recorded") for _, _, kind in trace]
        rig = make_rig(tmp_path, *outcomes)
        for index, (success, limits, _) in enumerate(trace):
            rig.agent.answer(index, window(*success), limits)
        return rig.kept

    first, again = play(), play()

    assert len(first) == len(trace)
    for one, other in zip(first, again, strict=True):
        for receipt in (one, other):
            receipt.answered_at_ms, receipt.wall_ms = 0, 0
        assert one == other


def test_inputs_count_nothing_towards_the_target_while_the_cloud_is_closed(tmp_path: Path) -> None:
    asked = budget(offload_share=0.3, target_window=50)
    at_once, later = make_rig(tmp_path / "a"), make_rig(tmp_path / "b")

    for index in range(40):
        later.agent.answer(index, UNSURE, like(asked, link_mbit_s=0))
    found = [
        routes([rig.agent.answer(index, UNSURE, asked) for index in range(40)])
        for rig in (at_once, later)
    ]

    assert found[0] == found[1]
    assert {capacity for capacity, _ in found[0]} == {0, 3}  # some stay, some go
