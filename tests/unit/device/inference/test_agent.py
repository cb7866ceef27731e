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
from nestling_device.inference.agent import Agent, InputError, UnanswerableError
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
    routes,
    student_class,
    world,
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
    hand_parts,
    template_saying,
    window,
)


def test_easy_input_is_answered_by_the_device(tmp_path: Path) -> None:
    w = world(tmp_path)

    receipt = w.agent.answer(0, EASY, BUDGET)

    assert routes([receipt]) == [(3, "accepted")]
    assert receipt.answer == receipt.device_answer == student_class(tmp_path, EASY)
    assert w.cloud.asked == 0


def test_where_nothing_stays_no_student_runs(tmp_path: Path) -> None:
    w = world(tmp_path)

    receipt = w.agent.answer(0, EASY, budget(offload_share=1.0))

    assert routes([receipt]) == [(0, "gated")]
    assert receipt.answer == CLOUD_CLASS
    assert not receipt.HasField("device_answer")
    assert list(receipt.success) == []
    assert receipt.resident_capacity == 3
    assert {entry.source: entry.energy_mj for entry in receipt.energy}["compute"] == 0


def test_unsure_answer_is_escalated(tmp_path: Path) -> None:
    receipt = world(tmp_path).agent.answer(0, UNSURE, BUDGET)

    assert routes([receipt]) == [(0, "escalated")]
    assert receipt.answer == CLOUD_CLASS
    assert receipt.device_answer == student_class(tmp_path, UNSURE)


@pytest.mark.parametrize("share", [1.0, 0.5], ids=["unseen", "escalated"])
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
    receipt = world(tmp_path, error).agent.answer(0, HARD, budget(offload_share=share))

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
def test_cloud_outside_the_budget_is_not_asked_and_the_receipt_names_the_limit(
    tmp_path: Path, change: dict[str, float], reason: str
) -> None:
    w = world(tmp_path)
    assert METER.radio_mj(SIZE, BUDGET) > 4.9

    receipt = w.agent.answer(0, HARD, budget(**change))

    assert routes([receipt])[0][1] == reason
    assert receipt.answer == receipt.device_answer
    assert w.cloud.asked == 0


@pytest.mark.parametrize("limit", ["latency_ms", "energy_mj"])
def test_what_has_run_and_the_offload_keep_the_limit_together(tmp_path: Path, limit: str) -> None:
    found = world(tmp_path).agent.answer(0, HARD, BUDGET)
    whole = {"latency_ms": transfer_ms(SIZE, BUDGET), "energy_mj": METER.radio_mj(SIZE, BUDGET)}
    ran = METER.estimate(MACS[2])
    whole["latency_ms"] += ran.latency_ms
    whole["energy_mj"] += ran.energy_mj

    tight, too_tight = (
        world(tmp_path).agent.answer(0, HARD, budget(**{limit: whole[limit] * part}))
        for part in (1.001, 0.999)
    )

    reason = limit.replace("_ms", "_limit").replace("_mj", "_limit")
    told = [(0, "escalated"), (0, "escalated"), (3, reason)]
    assert routes([found, tight, too_tight]) == told


def test_target_share_sets_the_thresholds(tmp_path: Path) -> None:
    w = world(tmp_path)

    answers = [w.agent.answer(0, HARD, budget(offload_share=share)) for share in (0.0, 0.5, 1.0)]
    answers.append(w.agent.answer(0, EASY, budget(offload_share=1.0)))

    assert routes(answers) == [(3, "accepted"), (0, "escalated"), (0, "gated"), (0, "gated")]


def test_share_is_kept_over_its_window_where_every_input_wants_to_go(tmp_path: Path) -> None:
    w = world(tmp_path)
    kept, target = budget(target_window=50), budget()

    for index in range(200):
        w.agent.answer(index, UNSURE, kept)
    asked = w.cloud.asked
    for index in range(10):
        w.agent.answer(index, UNSURE, target)

    assert abs(asked / 200 - 0.5) < 0.03
    assert w.cloud.asked == asked + 10  # without a window the threshold stays, and all go


def test_failed_offload_counts_into_the_share(tmp_path: Path) -> None:
    w = world(tmp_path, BadAnswerError("nonsense"))
    kept = budget(target_window=50)

    reasons = [reason for _, reason in routes(w.agent.answer(n, UNSURE, kept) for n in range(400))]

    open_ = [reason for reason in reasons if reason != "back_off"]
    assert abs(open_.count("bad_answer") / len(open_) - 0.5) < 0.2


SLOW = budget(link_mbit_s=0.1, target_window=50)  # an offload takes more than the device does
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
def test_mean_input_takes_its_target_where_every_input_wants_to_go(
    tmp_path: Path, asked: dict[str, float]
) -> None:
    w = world(tmp_path)
    target = like(SLOW, **asked)

    found = [w.agent.answer(n, UNSURE, target) for n in range(300)]

    took = [
        receipt.latency_ms
        if target.latency_per_input_ms
        else sum(entry.energy_mj for entry in receipt.energy)
        for receipt in found
    ]
    (mean,) = asked.values()
    assert np.mean(took[100:]) == pytest.approx(mean, rel=0.05)


def test_latency_of_the_mean_input_is_reckoned_with_the_median(tmp_path: Path) -> None:
    version = hand_parts(tmp_path / "named").version
    costs = profiled(version, 1.0, 1.0, 1.0, p95_ms=900.0)
    w = world(tmp_path / "a", costs=costs)
    target = like(SLOW, target_window=0, latency_per_input_ms=1 + SENT_MS)

    assert routes([w.agent.answer(0, EASY, target)]) == [(0, "gated")]


def test_while_the_cloud_is_closed_nothing_is_saved_up(tmp_path: Path) -> None:
    w = world(tmp_path)
    target = like(SLOW, energy_per_input_mj=DEVICE.energy_mj + SENT_MJ / 5)

    for index in range(200):
        w.agent.answer(index, UNSURE, like(target, link_mbit_s=0))
    after = [w.agent.answer(n, UNSURE, target) for n in range(200)]

    sent = [route == 0 for route, _ in routes(after)]
    assert sum(sent[:50]) == pytest.approx(50 / 5, abs=2)
    assert sum(sent) == pytest.approx(200 / 5, abs=6)


def promising(risk: float) -> bytes:
    """A calibration that promises one risk, at thresholds above those of a share of one half."""
    made = calibration()
    for curve in made.curves:
        curve.certified.add(risk=risk, delta=0.1, gate_threshold=0.9, accept_threshold=0.5)
    return made.SerializeToString()


@pytest.mark.parametrize(
    ("tolerated", "expected"),
    [
        # not asked for: a share of 0.5
        (0.0, [(3, "accepted"), (0, "escalated"), (0, "escalated")]),
        (0.01, [(0, "gated")] * 3),  # not promised: nothing stays
        (0.05, [(3, "accepted"), (3, "accepted"), (0, "escalated")]),
        (0.5, [(3, "accepted"), (3, "accepted"), (0, "escalated")]),
    ],
)
def test_tolerated_risk_takes_certified_thresholds(
    tmp_path: Path, tolerated: float, expected: list[tuple[int, str]]
) -> None:
    w = world(tmp_path, bundle=hand_bundle(calibration=promising(0.05)))

    found = [
        w.agent.answer(n, given_window, budget(tolerated_risk=tolerated))
        for n, given_window in enumerate((EASY, UNSURE, HARD))
    ]

    assert routes(found) == expected


def test_where_inputs_drift_a_risk_is_guaranteed_no_more_until_it_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nestling_device.inference.agent")
    w = world(tmp_path, bundle=hand_bundle(calibration=promising(0.05)))
    tolerant, sure = budget(tolerated_risk=0.05), window(1.0, 1.0, 1.0, 1.0)

    before = w.agent.answer(0, EASY, tolerant)
    for index in range(50):
        w.agent.answer(index, HARD, tolerant)
    drifting = w.agent.drifting
    during = [w.agent.answer(0, EASY, one) for one in (tolerant, BUDGET)]
    for index in range(50):
        w.agent.answer(index, sure, tolerant)
    afterwards = w.agent.answer(0, EASY, tolerant)

    assert (drifting, w.agent.drifting) == (True, False)
    # A share is no guarantee, and stays what it is.
    told = [(3, "accepted"), (0, "escalated"), (3, "accepted"), (3, "accepted")]
    assert routes([before, *during, afterwards]) == told
    assert len(caplog.messages) == 2
    assert "its promises do not hold" in caplog.messages[0]
    assert "again" in caplog.messages[1]


def test_nobody_knows_of_drift_where_no_student_looks(tmp_path: Path) -> None:
    w = world(tmp_path)
    before = w.agent.drifting
    for index in range(50):
        w.agent.answer(index, HARD, BUDGET)
    looked = w.agent.drifting
    w.agent.answer(0, HARD, budget(offload_share=1.0))
    unseen = w.agent.drifting
    w.agent.answer(0, HARD, BUDGET)

    assert (before, looked, unseen, w.agent.drifting) == (None, True, None, True)


def test_failed_cloud_is_left_alone_for_ever_longer_and_taken_up_again(tmp_path: Path) -> None:
    gone = UnreachableError("gone")
    w = world(tmp_path, gone, gone, None, gone, None)

    reasons = [reason for _, reason in routes(w.agent.answer(n, HARD, BUDGET) for n in range(9))]

    waits = ["back_off"]
    before = ["unreachable", *waits, "unreachable", *2 * waits, "escalated"]
    assert reasons == [*before, "unreachable", *waits, "escalated"]


def test_receipt_says_where_every_joule_and_byte_went(tmp_path: Path) -> None:
    w = world(tmp_path)

    receipt = w.agent.answer(7, UNSURE, BUDGET)

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
    assert receipt.bundle_version == w.agent.parts.version
    assert receipt.budget == BUDGET
    assert list(receipt.success) == pytest.approx([0.5, 0.5, 0.5, 0.9])
    assert receipt.answered_at_ms > 0
    assert receipt.wall_ms > 0


@pytest.mark.parametrize(
    ("error", "bytes_up"),
    [(UnreachableError("gone"), FRAMING_BYTES), (DeadlineMissedError("late"), SIZE)],
)
def test_failed_exchange_is_billed_too(tmp_path: Path, error: OffloadError, bytes_up: int) -> None:
    receipt = world(tmp_path, error).agent.answer(0, HARD, BUDGET)

    assert (receipt.bytes_up, receipt.bytes_down) == (bytes_up, 0)
    (radio,) = (entry.energy_mj for entry in receipt.energy if entry.source == "radio")
    assert radio == pytest.approx(METER.radio_mj(bytes_up, BUDGET))


def test_cloud_is_told_which_input_it_is_and_what_the_student_said(tmp_path: Path) -> None:
    w = world(tmp_path)

    unseen, escalated = (
        w.agent.answer(n, HARD, budget(offload_share=share)) for n, share in ((5, 1.0), (6, 0.5))
    )

    told = [(question.index, question.device_answer) for question in w.cloud.questions]
    assert told == [(5, None), (6, escalated.device_answer)]
    assert routes([unseen, escalated]) == [(0, "gated"), (0, "escalated")]


@pytest.mark.parametrize("given_window", [EASY, HARD])
def test_receipt_says_what_an_offload_would_have_taken(
    tmp_path: Path, given_window: NDArray[np.float32]
) -> None:
    receipt = world(tmp_path).agent.answer(0, given_window, BUDGET)

    assert receipt.offload_bytes == SIZE
    assert receipt.offload_energy_mj == pytest.approx(METER.radio_mj(SIZE, BUDGET))
    assert receipt.offload_energy_provenance == receipt_pb2.PROVENANCE_MODELLED


def test_receipt_without_a_link_tells_nothing_of_an_offload(tmp_path: Path) -> None:
    receipt = world(tmp_path).agent.answer(0, EASY, budget(link_mbit_s=0))

    assert (receipt.offload_bytes, receipt.offload_energy_mj) == (0, 0)
    assert receipt.offload_energy_provenance == receipt_pb2.PROVENANCE_UNSPECIFIED


def test_answer_without_the_cloud_costs_no_radio(tmp_path: Path) -> None:
    receipt = world(tmp_path).agent.answer(0, EASY, BUDGET)

    assert {entry.source: entry.energy_mj > 0 for entry in receipt.energy} == {
        "compute": True,
        "radio": False,
    }
    assert (receipt.bytes_up, receipt.bytes_down) == (0, 0)


def test_capacity_follows_the_memory_down_and_up(tmp_path: Path) -> None:
    growth = Growth(tmp_path)
    w = world(tmp_path, grow=growth)

    memories = [4000, 1999, 2000, 999, 4000]
    answers = [w.agent.answer(0, EASY, budget(memory_bytes=memory)) for memory in memories]

    assert [receipt.resident_capacity for receipt in answers] == [3, 1, 2, 1, 3]
    assert growth.targets == []  # it was all on the disk


def test_capacity_follows_the_energy(tmp_path: Path) -> None:
    w = world(tmp_path)
    limit_mj = METER.estimate(MACS[1]).energy_mj

    saving = w.agent.answer(0, EASY, budget(energy_mj=limit_mj))
    starving = w.agent.answer(1, EASY, budget(energy_mj=limit_mj, battery=0.01))

    assert [saving.resident_capacity, starving.resident_capacity] == [2, 1]


def profiled(version: str, *energies_mj: float, p95_ms: float = 2.0) -> MeasuredCosts:
    """A profile in which only energies differ; the median of a run is 1 ms."""
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


def test_measured_costs_decide_instead_of_the_boards_table(tmp_path: Path) -> None:
    version = hand_parts(tmp_path / "named").version
    costs = profiled(version, 1.0, 50.0, 80.0)
    measured = world(tmp_path / "a", costs=costs).agent
    modelled = world(tmp_path / "b").agent
    limits = [budget(energy_mj=limit) for limit in (49, 79, 81)]

    resident = [
        [agent.answer(index, EASY, limit).resident_capacity for index, limit in enumerate(limits)]
        for agent in (measured, modelled)
    ]

    assert resident == [[1, 2, 3], [3, 3, 3]]


def test_costs_of_another_bundle_and_of_capacities_not_profiled_come_from_the_table(
    tmp_path: Path,
) -> None:
    version = hand_parts(tmp_path / "named").version
    other = world(tmp_path / "a", costs=profiled("other", 500.0, 500.0, 500.0)).agent
    partly = world(tmp_path / "b", costs=profiled(version, 500.0, 500.0)).agent

    assert other.answer(0, EASY, budget(energy_mj=100)).resident_capacity == 3
    assert partly.answer(0, EASY, budget(energy_mj=100)).resident_capacity == 3


def test_more_memory_fetches_more_of_the_nest(tmp_path: Path) -> None:
    growth = Growth(tmp_path)
    w = world(tmp_path, held=1, grow=growth)

    before = w.agent.answer(0, EASY, budget(memory_bytes=1000))
    after = w.agent.answer(1, EASY, budget(memory_bytes=2500))

    assert [before.resident_capacity, after.resident_capacity] == [1, 2]
    assert growth.targets == [2500]
    assert w.agent.parts.held == 2


def test_growth_that_fails_is_tried_again_after_a_pause(tmp_path: Path) -> None:
    growth = Growth(tmp_path, failures=2)
    w = world(tmp_path, held=1, grow=growth)

    answers = [w.agent.answer(n, EASY, BUDGET) for n in range(7)]

    assert [receipt.resident_capacity for receipt in answers] == [1, 1, 1, 1, 1, 3, 3]
    assert len(growth.targets) == 3


def test_ring_damaged_on_the_disk_costs_its_capacity_until_it_is_fetched_again(
    tmp_path: Path,
) -> None:
    growth = Growth(tmp_path)
    w = world(tmp_path, grow=growth)
    manifest = w.agent.parts.manifest
    (tmp_path / manifest.capacities[1].ring.sha256).write_bytes(b"rust")

    first, second = (w.agent.answer(n, EASY, BUDGET) for n in range(2))

    assert [first.resident_capacity, second.resident_capacity] == [1, 3]
    assert growth.targets == [MEMORY_BYTES[-1]]


def test_nest_without_its_first_ring_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    w = world(tmp_path)
    (tmp_path / w.agent.parts.manifest.capacities[0].ring.sha256).unlink()

    with pytest.raises(DeliveryError, match="install the bundle again"):
        w.agent.answer(0, EASY, BUDGET)

    assert w.kept == []


@pytest.mark.parametrize(
    ("given_window", "words"),
    [
        (np.zeros((3, 2), np.float32), "takes float32"),
        (np.zeros((1, 2, 3), np.float32), "takes float32"),
        (np.zeros((2, 3), np.float64), "float64"),
        (np.full((2, 3), math.nan, np.float32), "not finite"),
        (np.full((2, 3), math.inf, np.float32), "not finite"),
    ],
)
def test_input_that_does_not_fit_is_refused_and_records_nothing(
    tmp_path: Path, given_window: NDArray[np.float32], words: str
) -> None:
    w = world(tmp_path)

    with pytest.raises(InputError, match=words):
        w.agent.answer(0, given_window, BUDGET)

    assert w.kept == []
    assert routes([w.agent.answer(0, EASY, BUDGET)]) == [(3, "accepted")]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_input_too_large_for_a_finite_answer_is_refused_and_the_next_one_answered(
    tmp_path: Path, share: float
) -> None:
    w = world(tmp_path, BadAnswerError("not finite there either"))
    large = np.full((2, 3), 3e38, np.float32)

    with pytest.raises(UnanswerableError, match=r"up to 3e\+38, is too large: .* capacity 3"):
        w.agent.answer(0, large, budget(offload_share=share))

    assert w.kept == []
    assert w.agent.drifting is None
    receipt = w.agent.answer(1, EASY, budget(offload_share=0))
    assert routes([receipt])[0][0] == CAPACITIES
    assert all(map(math.isfinite, receipt.success))


def test_multiplexer_whose_word_is_not_finite_means_no_answer(tmp_path: Path) -> None:
    template = template_saying("Sqrt", ["said"])
    w = world(tmp_path, held=1, bundle=hand_bundle(template=template))
    small = budget(memory_bytes=MEMORY_BYTES[0])

    with pytest.raises(UnanswerableError, match="what capacity 1 makes of it is not finite"):
        w.agent.answer(0, window(-1, 0, 0, 0), small)

    assert w.kept == []
    assert routes([w.agent.answer(0, EASY, small)]) == [(1, "accepted")]


def test_receipt_that_cannot_be_kept_means_no_answer(tmp_path: Path) -> None:
    def keep(receipt: Receipt) -> None:
        raise StorageError("disk full")

    parts = hand_parts(tmp_path)
    agent = Agent(parts, ScriptedCloud(None), METER, deadline_ms=1, keep=keep, grow=lambda _: parts)

    with pytest.raises(StorageError):
        agent.answer(0, EASY, BUDGET)


def test_answer_given_is_in_the_outbox(tmp_path: Path) -> None:
    parts = hand_parts(tmp_path / "blobs")
    with Outbox(tmp_path) as outbox:
        agent = Agent(
            parts,
            ScriptedCloud(None),
            METER,
            deadline_ms=1,
            keep=outbox.append,
            grow=lambda _: parts,
        )
        given_out = [agent.answer(n, x, BUDGET) for n, x in enumerate((EASY, HARD))]
        kept = outbox.batch(9).batch.receipts

    assert [(r.input_index, r.answer) for r in kept] == [
        (r.input_index, r.answer) for r in given_out
    ]


def test_two_releases_have_other_versions_in_their_receipts(tmp_path: Path) -> None:
    versions = {hand_parts(tmp_path, bundle=hand_bundle(release)).version for release in (1, 2)}

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
def test_recorded_trace_replays_to_the_same_routes_and_answers_every_input(
    tmp_path: Path, trace: Sequence[Step]
) -> None:
    def play() -> list[Receipt]:
        outcomes = [None if kind is None else kind("as recorded") for _, _, kind in trace]
        w = world(tmp_path, *outcomes)
        for index, (success, limits, _) in enumerate(trace):
            w.agent.answer(index, window(*success), limits)
        return w.kept

    first, again = play(), play()

    assert len(first) == len(trace)
    for one, other in zip(first, again, strict=True):
        for receipt in (one, other):
            receipt.answered_at_ms, receipt.wall_ms = 0, 0
        assert one == other


def test_inputs_count_nothing_towards_the_target_while_the_cloud_is_closed(tmp_path: Path) -> None:
    asked = budget(offload_share=0.3, target_window=50)
    at_once, later = world(tmp_path / "a"), world(tmp_path / "b")

    for index in range(40):
        later.agent.answer(index, UNSURE, like(asked, link_mbit_s=0))
    found = [
        routes([w.agent.answer(index, UNSURE, asked) for index in range(40)])
        for w in (at_once, later)
    ]

    assert found[0] == found[1]
    assert {capacity for capacity, _ in found[0]} == {0, 3}  # some stay, some go
