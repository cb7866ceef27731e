"""A tolerated risk is certified on the device's own inputs, by the answers that the cloud gives."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Calibration
from nestling.v1.receipt_pb2 import FOLLOW_UP_AUDIT, FOLLOW_UP_DEFERRED, Receipt
from nestling_core.routing.admission import offload_bytes, transfer_ms
from nestling_core.wire.choice import plain_form
from nestling_device.inference.field_guarantee import GuaranteeStatus
from nestling_device.inference.offloader import (
    CloudAnswer,
    DeadlineMissedError,
    OffloadError,
    OffloadRequest,
)
from nestling_device.inference.stream_state import Stream
from nestling_device.telemetry.outbox import Outbox
from tests.support.agent_rig import (
    METER,
    AgentRig,
    KnowingCloud,
    ScriptedCloud,
    budget,
    like,
    make_rig,
    routes,
)
from tests.support.hand_bundle import (
    CLASSES,
    MACS,
    MEMORY_BYTES,
    SHAPE,
    calibration,
    hand_bundle,
    larger_runs,
    window,
)
from tests.support.hand_guarantee import certified, with_plans
from tests.support.hand_stream import FILTER, random_stream

TOLERANT = budget(tolerated_risk=0.05, audit_share=0.01)
PLAN = hand_bundle(calibration=with_plans(calibration(), 0.0, 0.4))
BLOCKS = hand_bundle(calibration=with_plans(calibration(), 0.4, dependence=4))
SURE, DOUBTFUL = window(0.5, 0.5, 0.9, 0.9), window(0.5, 0.5, 0.1, 0.9)  # gains of 0 and 0.8


class Agreeing(ScriptedCloud):
    """A cloud that gives the device's own answer, or another one while `differs` is set."""

    def __init__(self, *outcomes: OffloadError | None) -> None:
        super().__init__(*(outcomes or (None,)))
        self.differs = False

    def offload(self, request: OffloadRequest, *, deadline_ms: float) -> CloudAnswer:
        answer = super().offload(request, deadline_ms=deadline_ms)
        assert request.device_answer is not None
        place = (request.device_answer.code + self.differs) % CLASSES
        answer.logits[:] = 8 * np.eye(CLASSES, dtype=np.float32)[place]
        return answer


def rig_of(folder: Path, cloud: ScriptedCloud, **more: object) -> AgentRig:
    rng = np.random.default_rng(3)
    options = {"bundle": PLAN, "draw": lambda: float(rng.random()), **more}
    return make_rig(folder, cloud=cloud, **options)  # type: ignore[arg-type]


def status_of(rig: AgentRig) -> GuaranteeStatus:
    assert rig.agent.guarantee is not None
    return rig.agent.guarantee


def run(
    rig: AgentRig, count: int, given: NDArray[np.float32] = SURE, limits: Budget = TOLERANT
) -> list[Receipt]:
    """Answer the same input many times, and settle its audits at once."""
    found = []
    for index in range(count):
        found.append(rig.agent.answer(index, given, limits))
        rig.agent.catch_up(limits, hurry=True)
    return found


def test_every_input_is_sent_until_enough_answers_have_agreed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    rig = rig_of(tmp_path, Agreeing())

    first = run(rig, 1)
    estimate = status_of(rig).inputs_to_go
    later = run(rig, 200)

    sent = [receipt.route.capacity == 0 for receipt in (*first, *later)]
    needed = sent.index(False)
    # ln(20) / ln(1 + 0.05 / 0.95) with the most daring stake; a mixture of stakes takes some more.
    assert 59 <= needed <= 80
    assert not any(sent[needed:])
    assert estimate == pytest.approx(needed, rel=0.35)
    status = status_of(rig)
    assert (status.risk, status.inputs_to_go, status.alarms) == (0.05, None, 0)
    assert status.since_ms is not None
    assert "a risk of at most 0.05 is certified from now on" in caplog.text


def test_inputs_beyond_the_certified_threshold_are_still_sent(tmp_path: Path) -> None:
    stream = certified(tmp_path, PLAN, risk=0.05, thresholds=2, in_use=1)
    rig = rig_of(tmp_path, Agreeing(), stream=stream)
    between = window(0.5, 0.5, 0.7, 0.9)  # a gain of 0.2, which only the second threshold keeps

    found = [rig.agent.answer(n, one, TOLERANT) for n, one in enumerate((SURE, between, DOUBTFUL))]

    assert routes(found) == [(3, "accepted"), (0, "escalated"), (0, "escalated")]


def test_audits_become_rarer_and_stay_at_the_budgets_share(tmp_path: Path) -> None:
    rig = rig_of(tmp_path, Agreeing())

    found = run(rig, 6000, limits=budget(tolerated_risk=0.05, audit_share=0.02))

    audited = [receipt.follow_up == FOLLOW_UP_AUDIT for receipt in found]
    assert sum(audited[100:300]) > 100
    assert sum(audited[-2000:]) / 2000 == pytest.approx(0.05, abs=0.03)
    assert {receipt.route.reason for receipt in found if receipt.follow_up} == {1}


def test_alarm_starts_over_when_the_cloud_begins_to_differ(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cloud = Agreeing()
    rig = rig_of(tmp_path, cloud)
    run(rig, 300)
    cloud.differs = True

    found = run(rig, 600)

    sent = [receipt.route.capacity == 0 for receipt in found]
    assert sent[-1]
    assert sent.index(True) < 60
    status = status_of(rig)
    assert (status.since_ms, status.alarms) == (None, 1)
    assert "every input is sent until this risk is certified again" in caplog.text


def test_cloud_that_differs_is_never_certified_and_no_end_is_promised(tmp_path: Path) -> None:
    cloud = Agreeing()
    cloud.differs = True
    rig = rig_of(tmp_path, cloud)

    found = run(rig, 400)

    assert all(receipt.route.capacity == 0 for receipt in found)
    assert status_of(rig).inputs_to_go is None


def test_nothing_is_certified_during_an_outage(tmp_path: Path) -> None:
    rig = rig_of(tmp_path, Agreeing())
    offline = budget(tolerated_risk=0.05, link_mbit_s=0)
    run(rig, 30)
    before = rig.states[-1].guarantees[0]

    found = run(rig, 200, limits=offline)

    assert rig.states[-1].guarantees[0] == before
    assert set(routes(found)) == {(3, "no_link")}
    assert not any(receipt.follow_up for receipt in found)


def test_limits_outrank_the_guarantee(tmp_path: Path) -> None:
    rig = rig_of(tmp_path, Agreeing())

    found = run(rig, 5, limits=budget(tolerated_risk=0.05, latency_ms=5))

    assert set(routes(found)) == {(3, "latency_limit")}
    assert rig.cloud.request_count == 0


def test_block_waits_for_the_answer_to_a_failed_offload_which_is_asked_for_again(
    tmp_path: Path,
) -> None:
    cloud = Agreeing(DeadlineMissedError("late"), None)
    rig = rig_of(tmp_path, cloud, bundle=BLOCKS, draw=lambda: 0.0)

    late = rig.agent.answer(0, SURE, TOLERANT)  # `defer` is off, but the verdict is needed
    for index in range(1, 10):
        rig.agent.answer(index, SURE, TOLERANT)
    (waiting,) = rig.states[-1].guarantees
    (revision,) = rig.agent.catch_up(TOLERANT)  # at once: a block waits for it
    (after,) = rig.states[-1].guarantees

    assert (routes([late]), late.follow_up) == ([(3, "deadline_missed")], FOLLOW_UP_DEFERRED)
    assert (waiting.block.number, waiting.block.position, waiting.block.waiting) == (1, 4, 1)
    assert revision.receipt.input_index == 0
    assert (after.block.number, after.audits) == (2, 4)


def test_verdict_that_never_comes_counts_as_a_change(tmp_path: Path) -> None:
    cloud = Agreeing(DeadlineMissedError("late"), None)
    with Outbox(tmp_path) as outbox:
        rig = rig_of(tmp_path, cloud, journal=outbox, draw=lambda: 0.0)
        rig.agent.answer(0, SURE, TOLERANT)
        ((number, message),) = outbox.pending(9)
        assert message is not None
        message.input = b"damaged"
        outbox.append(added=[message], removed=[number])

        (revision,) = rig.agent.catch_up(TOLERANT, hurry=True)

        assert routes([revision.receipt])[0][1] == "expired"
        state = outbox.stream_state()
    assert state is not None
    assert list(state.guarantees[0].changed) == [1, 1]


def test_verdict_whose_input_got_lost_counts_as_a_change_after_a_restart(tmp_path: Path) -> None:
    cloud = Agreeing(DeadlineMissedError("late"), None)
    with Outbox(tmp_path) as outbox:
        rig = rig_of(tmp_path, cloud, journal=outbox, draw=lambda: 0.0)
        rig.agent.answer(0, SURE, TOLERANT)
        ((number, message),) = outbox.pending(9)
        assert message is not None
        message.bundle_version = "hand-9-00000000"  # an input of another bundle is not the one
        outbox.append(added=[message], removed=[number])
        stream = Stream(state=outbox.stream_state())
        again = rig_of(tmp_path, cloud, journal=outbox, stream=stream, draw=lambda: 0.0)

        again.agent.answer(1, SURE, TOLERANT)

        state = outbox.stream_state()
    assert state is not None
    assert list(state.guarantees[0].changed) == [1, 1]


@pytest.mark.parametrize("limits", [TOLERANT, budget()], ids=["same risk", "no risk any more"])
def test_verdict_that_comes_before_the_first_input_after_a_restart_counts(
    tmp_path: Path, limits: Budget
) -> None:
    cloud = Agreeing(DeadlineMissedError("late"), None)
    with Outbox(tmp_path) as outbox:
        rig = rig_of(tmp_path, cloud, journal=outbox, bundle=BLOCKS, draw=lambda: 0.0)
        for index in range(5):  # one of them in the pause after the failure
            rig.agent.answer(index, SURE, TOLERANT)
        stream = Stream(state=outbox.stream_state())
        again = rig_of(
            tmp_path, cloud, journal=outbox, stream=stream, bundle=BLOCKS, draw=lambda: 0.0
        )

        (revision,) = again.agent.catch_up(limits, hurry=True)
        between = outbox.stream_state()
        again.agent.answer(5, SURE, TOLERANT)
        after = outbox.stream_state()

    assert revision.receipt.input_index == 0
    assert between is not None
    assert after is not None
    (settled,), (later,) = between.guarantees, after.guarantees
    assert (settled.audits, list(settled.changed)) == (4, [0])
    assert (settled.block.number, settled.block.position) == (2, 0)  # it no longer waits
    assert (later.audits, later.block.number, later.block.position) == (5, 2, 1)


def test_audit_of_another_bundle_does_not_count(tmp_path: Path) -> None:
    cloud = Agreeing(DeadlineMissedError("late"), DeadlineMissedError("late"), None)
    with Outbox(tmp_path) as outbox:
        rig = rig_of(tmp_path, cloud, journal=outbox, bundle=BLOCKS, draw=lambda: 0.0)
        rig.agent.answer(0, SURE, TOLERANT)
        ((number, message),) = outbox.pending(9)
        assert message is not None
        message.bundle_version = "hand-9-00000000"
        outbox.append(added=[message], removed=[number])
        fresh = rig_of(tmp_path, cloud, journal=outbox, bundle=BLOCKS, draw=lambda: 0.0)
        fresh.agent.answer(1, SURE, TOLERANT)  # block 1, too

        expired = fresh.agent.catch_up(TOLERANT, hurry=True)
        fresh.agent.answer(2, SURE, TOLERANT)
        (asked,) = fresh.agent.catch_up(TOLERANT, hurry=True)

        state = outbox.stream_state()
    assert [routes([one.receipt])[0][1] for one in expired] == ["expired"]
    assert asked.receipt.input_index == 1
    assert state is not None
    assert list(state.guarantees[0].changed) == [0]


@pytest.mark.parametrize("filtering", [False, True])
def test_certification_survives_a_restart_after_every_input(
    tmp_path: Path, *, filtering: bool
) -> None:
    made = calibration()
    for curve in made.curves:
        if filtering:
            curve.filter.CopyFrom(FILTER)
    bundle = hand_bundle(calibration=with_plans(made, 0.0, 0.2, 0.4))
    inputs, _ = random_stream(0, 150)
    draws = np.random.default_rng(0).random(300).tolist()
    steady = make_rig(tmp_path, bundle=bundle, cloud=Agreeing(), draw=iter(draws).__next__)
    steady_draws = iter(draws)
    with Outbox(tmp_path) as outbox:
        for index, one in enumerate(inputs):
            rig = make_rig(
                tmp_path,
                bundle=bundle,
                cloud=Agreeing(),
                stream=Stream(state=outbox.stream_state()),
                journal=outbox,
                draw=steady_draws.__next__,
            )
            restarted = rig.agent.answer(index, one, TOLERANT)
            expected = steady.agent.answer(index, one, TOLERANT)
            for each in (rig, steady):
                each.agent.catch_up(TOLERANT, hurry=True)
            if not filtering:  # shadows are not saved: like a pause, a restart ends what they know
                assert routes([restarted]) == routes([expected])
        state = outbox.stream_state()
    assert state is not None
    if not filtering:
        saved = steady.states[-1].guarantees[0]
        saved.certified_at_ms = state.guarantees[0].certified_at_ms
        assert state.guarantees[0] == saved
    assert state.guarantees[0].audits > 50


def test_another_risk_starts_over(tmp_path: Path) -> None:
    stream = certified(tmp_path, PLAN, risk=0.05, thresholds=2)
    rig = rig_of(tmp_path, Agreeing(), stream=stream)

    found = [
        rig.agent.answer(n, SURE, budget(tolerated_risk=risk))
        for n, risk in enumerate((0.05, 0.02, 0.05))
    ]

    assert routes(found) == [(3, "accepted"), (0, "escalated"), (0, "escalated")]


def test_each_cascade_is_certified_by_itself(tmp_path: Path) -> None:
    stream = certified(tmp_path, PLAN, risk=0.05, thresholds=2)
    rig = rig_of(tmp_path, Agreeing(), stream=stream)
    small = budget(tolerated_risk=0.05, memory_bytes=MEMORY_BYTES[0])
    given = window(0.9, 0.5, 0.9, 0.9)

    found = [rig.agent.answer(n, given, one) for n, one in enumerate((TOLERANT, small, TOLERANT))]

    assert routes(found) == [(3, "accepted"), (0, "escalated"), (3, "accepted")]


def test_with_a_filter_each_threshold_hears_only_what_it_would_have_asked_for(
    tmp_path: Path,
) -> None:
    made = calibration()
    for curve in made.curves:
        curve.filter.CopyFrom(FILTER)
    bundle = hand_bundle(calibration=with_plans(made, -0.5, 0.9))
    inputs, cloud = random_stream(5, 120)
    rig = make_rig(tmp_path, bundle=bundle, cloud=KnowingCloud(cloud.logits), draw=lambda: 0.0)

    for index, one in enumerate(inputs):
        rig.agent.answer(index, one, TOLERANT)

    state = rig.states[-1].guarantees[0]
    cautious, daring = state.audited
    assert cautious < daring == len(inputs)  # the daring one keeps everything
    assert 0 < state.changed[1] < len(inputs)
    assert {receipt.route.capacity for receipt in rig.kept} == {0}


def test_input_that_a_limit_rules_out_is_no_evidence_and_not_kept_by_choice(
    tmp_path: Path,
) -> None:
    """The limit admits an offload after the small capacity, but not after the larger one."""
    made = Calibration.FromString(larger_runs())
    bundle = hand_bundle(calibration=with_plans(made, 0.4))
    rig = rig_of(tmp_path, Agreeing(), bundle=bundle)
    sent_ms = transfer_ms(offload_bytes(plain_form(SHAPE)), TOLERANT)
    ran_ms = [METER.estimate(macs).latency_ms for macs in MACS]
    tight = like(
        TOLERANT,
        memory_bytes=MEMORY_BYTES[0] + MEMORY_BYTES[-1],
        latency_ms=sent_ms + ran_ms[0] + 0.5 * ran_ms[-1],
    )
    easy, hard = window(0.9, 0.9, 0.9, 0.9), window(0.1, 0.1, 0.45, 0.9)

    found = [rig.agent.answer(n, one, tight) for n, one in enumerate((easy, hard) * 50)]

    assert {reason for _, reason in routes(found)} == {"latency_limit"}
    (state,) = rig.states[-1].guarantees
    assert (state.audits, state.since, state.block.position) == (0, 0, 0)


def test_nothing_is_guaranteed_where_the_cloud_is_useless(tmp_path: Path) -> None:
    made = calibration()
    made.curves[0].useful_share = 0.0
    bundle = hand_bundle(calibration=with_plans(made, 0.0, 0.4))
    stream = certified(tmp_path, bundle, risk=0.05, thresholds=2)
    rig = rig_of(tmp_path, Agreeing(), bundle=bundle, stream=stream)

    rig.agent.answer(0, SURE, TOLERANT)
    before = rig.agent.guarantee
    rig.agent.answer(1, SURE, like(TOLERANT, memory_bytes=MEMORY_BYTES[0]))

    assert before is not None
    assert before.since_ms is not None
    assert rig.agent.guarantee is None


def test_certificate_of_a_damaged_state_is_not_shown(tmp_path: Path) -> None:
    stream = certified(tmp_path, PLAN, risk=0.05, thresholds=2)
    assert stream.state is not None
    stream.state.guarantees[0].block.audits = 0
    rig = rig_of(tmp_path, Agreeing(), stream=stream)

    rig.agent.answer(0, SURE, budget(tolerated_risk=0.05, link_mbit_s=0))

    assert status_of(rig).since_ms is None


def test_verdict_of_another_risk_does_not_count(tmp_path: Path) -> None:
    cloud = Agreeing(DeadlineMissedError("late"), None)
    rig = rig_of(tmp_path, cloud, bundle=BLOCKS, draw=lambda: 0.0)
    rig.agent.answer(0, SURE, TOLERANT)
    rig.agent.answer(1, SURE, TOLERANT)  # the pause
    other = budget(tolerated_risk=0.02)
    rig.agent.answer(2, SURE, other)

    (revision,) = rig.agent.catch_up(other, hurry=True)

    assert revision.receipt.input_index == 0
    (state,) = rig.states[-1].guarantees
    assert (state.risk, state.audits, state.block.waiting) == (0.02, 1, 0)


@pytest.mark.parametrize("damage", ["unreadable", "another number of thresholds"])
def test_damaged_audit_counts_as_a_change_and_the_block_goes_on(
    tmp_path: Path, damage: str
) -> None:
    cloud = Agreeing(DeadlineMissedError("late"), None)
    with Outbox(tmp_path) as outbox:
        rig = rig_of(tmp_path, cloud, journal=outbox, draw=lambda: 0.0)
        rig.agent.answer(0, SURE, TOLERANT)
        ((number, message),) = outbox.pending(9)
        assert message is not None
        if damage == "unreadable":
            outbox._database._connection.execute("UPDATE pending SET content = x'ffff'")
        else:
            del message.kept[-1]
            outbox.append(added=[message], removed=[number])

        rig.agent.answer(1, SURE, TOLERANT)  # the pause
        rig.agent.catch_up(TOLERANT, hurry=True)

        state = outbox.stream_state()
    assert state is not None
    (guarantee,) = state.guarantees
    assert guarantee.block.number == 2
    assert list(guarantee.changed) == [1, 1]
