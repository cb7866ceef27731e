"""Inputs that wait for the cloud are asked about later, together, and their answers are revised."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nestling.v1 import receipt_pb2
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import FOLLOW_UP_AUDIT, FOLLOW_UP_DEFERRED, Receipt
from nestling.v1.stream_pb2 import PendingInput
from nestling_core.kinds.kind import Answer
from nestling_core.telemetry.receipt_chain import fingerprint
from nestling_device.inference.follow_ups import is_due
from nestling_device.inference.journal import MOST_PENDING
from nestling_device.inference.offloader import (
    BadAnswerError,
    CloudAnswer,
    DeadlineMissedError,
    OffloadError,
    OffloadRequest,
    OverloadedError,
    UnreachableError,
)
from nestling_device.inference.stream_state import Stream
from nestling_device.sources.source import Origin
from nestling_device.storage.database import StorageError
from nestling_device.telemetry.outbox import Outbox
from tests.support.agent_rig import (
    BUDGET,
    CLOUD_CLASS,
    METER,
    AgentRig,
    KnowingCloud,
    ListJournal,
    ScriptedCloud,
    assert_same,
    budget,
    make_rig,
    routes,
)
from tests.support.hand_bundle import EASY, HARD, MEMORY_BYTES, filtered, hand_bundle
from tests.support.hand_stream import FILTER, random_stream

LATER = budget(defer=True)
OFFLINE = budget(defer=True, link_mbit_s=0)
AUDITING = budget(audit_share=0.5)
FILTERED = hand_bundle(calibration=filtered(FILTER))


def always(_: object = None) -> float:
    return 0.0


def radio(receipt: Receipt) -> float:
    (entry,) = [one for one in receipt.energy if one.source == "radio"]
    return entry.energy_mj


def follow_ups(rig: AgentRig) -> list[Receipt]:
    return [receipt for receipt in rig.kept if receipt.HasField("follows")]


def test_hard_input_without_a_link_is_asked_about_when_the_link_is_back(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    origin = Origin(id="w-7", file="day.npy", window=7)

    first = rig.agent.answer(7, HARD, OFFLINE, origin)
    waiting = rig.agent.pending
    assert rig.agent.catch_up(OFFLINE, hurry=True) == []
    (revision,) = rig.agent.catch_up(LATER, hurry=True)

    assert (routes([first]), first.follow_up) == ([(3, "no_link")], FOLLOW_UP_DEFERRED)
    assert waiting == 1
    receipt = revision.receipt
    assert revision.origin == origin
    assert routes([receipt]) == [(0, "deferred")]
    assert (receipt.input_index, receipt.answer, receipt.device_answer) == (
        7,
        CLOUD_CLASS,
        first.answer,
    )
    assert receipt.follows == fingerprint(first.SerializeToString())
    assert (receipt.bytes_up, receipt.bytes_down) == (200, 100)
    assert radio(receipt) == pytest.approx(METER.radio_mj(300, LATER))
    assert receipt.offload_energy_mj == 0
    assert rig.agent.pending == 0
    assert rig.kept == [first, receipt]
    assert rig.cloud.requests[0].device_answer == Answer(first.answer)
    assert (rig.cloud.requests[0].window == HARD).all()


@pytest.mark.parametrize(
    "limits",
    [
        {"link_mbit_s": 0.0},
        {"energy_mj": 0.001},
        {"battery": 1e-6},
        {"latency_ms": 0.1},
    ],
    ids=["no link", "energy", "battery", "latency"],
)
def test_hard_inputs_wait_whatever_limit_rules_out_the_cloud_and_easy_ones_do_not(
    tmp_path: Path, limits: dict[str, float]
) -> None:
    rig = make_rig(tmp_path)

    easy = rig.agent.answer(0, EASY, budget(defer=True, **limits))
    hard = rig.agent.answer(1, HARD, budget(defer=True, **limits))
    without = rig.agent.answer(2, HARD, budget(**limits))

    found = [receipt.follow_up for receipt in (easy, hard, without)]
    assert found == [0, FOLLOW_UP_DEFERRED, 0]


@pytest.mark.parametrize(
    "fault", [UnreachableError("gone"), OverloadedError("busy", retry_ms=0)], ids=str
)
def test_failed_offload_waits_until_the_pause_is_over(
    tmp_path: Path, fault: UnreachableError | OverloadedError
) -> None:
    rig = make_rig(tmp_path, fault, None, draw=always)

    rig.agent.answer(0, HARD, LATER)
    assert rig.agent.catch_up(LATER, hurry=True) == []  # the pause lasts for one input
    rig.agent.answer(1, EASY, LATER)
    (revision,) = rig.agent.catch_up(LATER, hurry=True)

    assert revision.receipt.input_index == 0


def test_inputs_wait_for_company_unless_the_radio_is_awake(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    for index in range(7):
        rig.agent.answer(index, HARD, OFFLINE)
        assert rig.agent.catch_up(LATER) == []

    awake = rig.agent.answer(7, HARD, LATER)
    found = rig.agent.catch_up(LATER)

    assert routes([awake]) == [(0, "escalated")]
    assert [revision.receipt.input_index for revision in found] == [*range(7)]


def test_eight_inputs_go_out_in_one_wake_of_the_radio(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    for index in range(8):
        rig.agent.answer(index, HARD, OFFLINE)

    found = [revision.receipt for revision in rig.agent.catch_up(LATER)]

    assert len(found) == 8
    together = METER.radio_mj(8 * 300, LATER)
    assert [radio(receipt) for receipt in found] == pytest.approx([together / 8] * 8)


@pytest.mark.parametrize(
    ("waiting", "waited_ms", "awake", "urgent", "due"),
    [
        (0, 10**9, True, True, False),
        (1, 0, False, False, False),
        (7, 59_999, False, False, False),
        (1, 60_000, False, False, True),
        (8, 0, False, False, True),
        (1, 0, True, False, True),
        (1, 0, False, True, True),
        (1, -60_000, False, False, True),  # the clock was set back
    ],
)
def test_inputs_are_due_when_they_are_enough_or_have_waited_enough(
    waiting: int, waited_ms: int, *, awake: bool, urgent: bool, due: bool
) -> None:
    assert is_due(waiting, 0, waited_ms, awake=awake, urgent=urgent) == due


def test_energy_limit_applies_to_each_input_of_a_group(tmp_path: Path) -> None:
    alone, together = METER.radio_mj(317, LATER), METER.radio_mj(8 * 317, LATER) / 8
    rig = make_rig(tmp_path)
    tight = budget(defer=True, energy_mj=together * 0.9)
    for index in range(8):
        rig.agent.answer(index, HARD, OFFLINE)

    assert rig.agent.catch_up(tight) == []
    assert len(rig.agent.catch_up(budget(defer=True, energy_mj=alone * 1.1))) == 8


def test_input_that_the_cloud_refuses_expires_and_the_others_are_answered(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, BadAnswerError("not this one"), None)
    first = [rig.agent.answer(index, HARD, OFFLINE) for index in range(2)]

    found = [revision.receipt for revision in rig.agent.catch_up(LATER, hurry=True)]

    assert routes(found) == [(3, "expired"), (0, "deferred")]
    assert found[0].answer == first[0].answer
    assert rig.agent.pending == 0


def test_cloud_that_answers_nothing_right_loses_no_input(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, BadAnswerError("broken"), draw=always)
    for index in range(4):
        rig.agent.answer(index, HARD, OFFLINE)

    for index in range(4, 8):
        rig.agent.answer(index, EASY, LATER)
        rig.agent.catch_up(LATER, hurry=True)
    waiting = rig.agent.pending
    rig.cloud.change(None)
    rig.agent.answer(8, EASY, LATER)
    rig.agent.answer(9, EASY, LATER)
    found = rig.agent.catch_up(LATER, hurry=True)

    assert waiting == 4
    assert [routes([one.receipt])[0][1] for one in found] == ["deferred"] * 4


def test_input_that_is_refused_alone_expires_when_the_cloud_has_answered_another(
    tmp_path: Path,
) -> None:
    refusal = BadAnswerError("not this one")
    rig = make_rig(tmp_path, refusal, None, refusal, draw=always)
    rig.agent.answer(0, HARD, OFFLINE)

    assert rig.agent.catch_up(LATER, hurry=True) == []
    rig.agent.answer(1, EASY, LATER)  # the pause
    assert routes([rig.agent.answer(2, HARD, LATER)]) == [(0, "escalated")]
    (revision,) = rig.agent.catch_up(LATER, hurry=True)

    assert routes([revision.receipt]) == [(3, "expired")]


@pytest.mark.parametrize("jump_ms", [-(10**12), 10**12])
def test_clock_that_jumps_drops_no_waiting_input(tmp_path: Path, jump_ms: int) -> None:
    with Outbox(tmp_path) as outbox:
        rig = make_rig(tmp_path, journal=outbox)
        rig.agent.answer(0, HARD, OFFLINE)
        ((number, message),) = outbox.pending(9)
        assert message is not None
        message.answered_at_ms -= jump_ms
        outbox.append(added=[message], removed=[number])

        (revision,) = rig.agent.catch_up(LATER, hurry=True)

    assert routes([revision.receipt]) == [(0, "deferred")]
    assert 0 <= revision.receipt.latency_ms <= 1e9


def test_refused_input_does_not_hold_up_those_behind_it(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, BadAnswerError("not this one"), draw=always)
    rig.agent.answer(0, HARD, OFFLINE)
    assert rig.agent.catch_up(LATER, hurry=True) == []
    for index in range(1, 20):
        rig.agent.answer(index, HARD, OFFLINE)
    rig.cloud.change(None)

    found = rig.agent.catch_up(LATER, hurry=True)

    assert [one.receipt.input_index for one in found] == [*range(1, 17)]


def test_energy_target_is_charged_when_a_deferred_input_is_sent(tmp_path: Path) -> None:
    energy = {"energy_per_input_mj": 20.0, "target_window": 500, "defer": True}
    rig = make_rig(tmp_path)
    rig.agent.answer(0, HARD, budget(link_mbit_s=0, **energy))
    before = rig.states[-1].owed

    rig.agent.catch_up(budget(**energy), hurry=True)

    assert rig.states[-1].owed_kind == "energy"
    assert rig.states[-1].owed < before


def test_cost_of_a_failed_exchange_is_charged_to_the_next_follow_up(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, UnreachableError("gone"), None, draw=always)
    rig.agent.answer(0, HARD, OFFLINE)

    assert rig.agent.catch_up(LATER, hurry=True) == []
    rig.agent.answer(1, EASY, LATER)
    (revision,) = rig.agent.catch_up(LATER, hurry=True)

    tried = METER.radio_mj(317, LATER)  # the framing of one exchange
    assert radio(revision.receipt) == pytest.approx(METER.radio_mj(300, LATER) + tried)


def change(**fields: object) -> Callable[[PendingInput], None]:
    def apply(message: PendingInput) -> None:
        for name, value in fields.items():
            setattr(message, name, value)

    return apply


@pytest.mark.parametrize(
    "spoil",
    [
        change(bundle_version="hand-9-00000000"),
        change(input=b"short"),
        change(answer=99),
        change(cascade_capacity=9),
        change(cascade_start=0),
        change(confidence=float("nan")),
        change(cloud_right=2.0),
        lambda message: message.believed.append(0.5),
        lambda message: message.kept.append(True),
    ],
    ids=["bundle", "input", "answer", "capacity", "start", "confidence", "right", "belief", "kept"],
)
def test_input_that_cannot_be_asked_about_any_more_expires(
    tmp_path: Path, spoil: Callable[[PendingInput], None]
) -> None:
    with Outbox(tmp_path) as outbox:
        rig = make_rig(tmp_path, journal=outbox)
        first = rig.agent.answer(0, HARD, OFFLINE)
        ((number, message),) = outbox.pending(9)
        assert message is not None
        spoil(message)
        outbox.append(added=[message], removed=[number])

        (revision,) = rig.agent.catch_up(LATER, hurry=True)

        assert routes([revision.receipt])[0][1] == "expired"
        assert revision.receipt.follow_up == FOLLOW_UP_DEFERRED
        assert revision.receipt.follows == fingerprint(first.SerializeToString())
        assert rig.cloud.request_count == 0
        assert outbox.pending_count() == rig.agent.pending == 0


def test_oldest_input_expires_when_too_many_wait(tmp_path: Path) -> None:
    journal = ListJournal([], [])
    journal.append(added=[PendingInput(input_index=n) for n in range(MOST_PENDING)])
    rig = make_rig(tmp_path, journal=journal)

    rig.agent.answer(MOST_PENDING, HARD, OFFLINE)

    assert rig.agent.pending == journal.pending_count() == MOST_PENDING
    (oldest,) = journal.pending(1)
    assert oldest.content is not None
    assert oldest.content.input_index == 1
    assert [receipt.input_index for receipt in journal.kept] == [MOST_PENDING, 0]
    assert routes(journal.kept)[1][1] == "expired"


@pytest.mark.parametrize(("draw", "audited"), [(0.0, True), (0.499, True), (0.5, False)])
def test_kept_answers_are_audited_with_the_budgets_share(
    tmp_path: Path, draw: float, *, audited: bool
) -> None:
    rig = make_rig(tmp_path, draw=lambda: draw)

    first = rig.agent.answer(0, EASY, AUDITING)
    sent = rig.agent.answer(1, HARD, AUDITING)
    forced = rig.agent.answer(2, EASY, budget(audit_share=0.5, link_mbit_s=0))
    found = rig.agent.catch_up(AUDITING, hurry=True)

    assert first.follow_up == (FOLLOW_UP_AUDIT if audited else 0)
    assert (sent.follow_up, forced.follow_up) == (0, 0)  # not kept by choice
    assert [routes([one.receipt]) for one in found] == [[(0, "audited")]] * audited
    assert first.answer != CLOUD_CLASS  # what the audit found out
    assert [one.receipt.answer for one in found] == [CLOUD_CLASS] * audited
    assert [request.audit for request in rig.cloud.requests] == [False, *[True] * audited]


def test_audits_are_drawn_independently_of_the_input(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rig = make_rig(tmp_path, draw=lambda: float(rng.random()))
    quarter = budget(offload_share=0.0, audit_share=0.25)
    confident, doubtful = EASY, HARD

    drawn = [
        [rig.agent.answer(2 * n + m, one, quarter).follow_up for n in range(600)]
        for m, one in enumerate((confident, doubtful))
    ]

    shares = [sum(one == FOLLOW_UP_AUDIT for one in kind) / 600 for kind in drawn]
    assert shares == pytest.approx([0.25, 0.25], abs=0.055)  # three standard deviations
    pairs = np.corrcoef(np.array(drawn[0][1:]) > 0, np.array(drawn[0][:-1]) > 0)[0, 1]
    assert abs(pairs) < 0.13


def test_audit_corrects_the_confidence_and_counts_toward_a_target_share(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    inputs, cloud = random_stream(0, 1500)
    share = budget(offload_share=0.3, target_window=500, audit_share=0.2)
    rig = make_rig(tmp_path, cloud=cloud, draw=lambda: float(rng.random()))

    for index, one in enumerate(inputs):
        rig.agent.answer(index, one, share)
        rig.agent.catch_up(share, hurry=True)

    assert rig.cloud.request_count / len(inputs) == pytest.approx(0.3, abs=0.02)
    reasons = [reason for _, reason in routes(rig.kept)]
    assert reasons.count("audited") / len(inputs) == pytest.approx(0.16, abs=0.03)
    assert min(rig.states[-1].offset_mean) < -0.05


def test_deferred_inputs_count_toward_a_target_share_once(tmp_path: Path) -> None:
    inputs, cloud = random_stream(1, 400)
    rig = make_rig(tmp_path, cloud=cloud)
    share = budget(offload_share=0.3, target_window=50, defer=True)
    offline = budget(offload_share=0.3, target_window=50, defer=True, link_mbit_s=0)

    for index, one in enumerate(inputs):
        rig.agent.answer(index, one, offline if 100 <= index < 200 else share)
        rig.agent.catch_up(share if not 100 <= index < 200 else offline)
    rig.agent.catch_up(share, hurry=True)

    assert rig.agent.pending == 0
    assert rig.cloud.request_count / len(inputs) == pytest.approx(0.3, abs=0.03)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(seed=st.integers(0, 2**32 - 1), filtering=st.booleans())
def test_revised_answer_is_the_one_that_asking_at_once_would_have_given(
    tmp_path_factory: pytest.TempPathFactory, seed: int, *, filtering: bool
) -> None:
    folder = tmp_path_factory.mktemp("device")
    bundle = FILTERED if filtering else hand_bundle()
    inputs, cloud = random_stream(seed, 8)
    asked = make_rig(folder, bundle=bundle, cloud=cloud)
    deferred = make_rig(folder, bundle=bundle, cloud=KnowingCloud(cloud.logits))
    for rig in (asked, deferred):
        for index in range(7):
            rig.agent.answer(index, inputs[index], budget(offload_share=0.5))

    at_once = asked.agent.answer(7, inputs[7], budget(offload_share=0.99))
    first = deferred.agent.answer(
        7, inputs[7], budget(offload_share=0.99, defer=True, link_mbit_s=0)
    )
    revisions = deferred.agent.catch_up(LATER, hurry=True)

    if at_once.route.capacity == 0 and first.follow_up:
        assert [one.receipt.answer for one in revisions] == [at_once.answer]


_moments = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.floats(0, 0.999)), min_size=2, max_size=12
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(seed=st.integers(0, 2**32 - 1), moments=_moments, filtering=st.booleans())
def test_restart_after_every_step_gives_the_same_receipts_and_follow_ups(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    moments: list[tuple[bool, bool, float]],
    *,
    filtering: bool,
) -> None:
    folder = tmp_path_factory.mktemp("device")
    bundle = FILTERED if filtering else hand_bundle()
    inputs, cloud = random_stream(seed, len(moments))
    steady = make_rig(folder, bundle=bundle, cloud=cloud)
    kept: list[Receipt] = []

    def one_step(index: int, limits: Budget, *, hurry: bool | None) -> None:
        with Outbox(folder) as outbox:
            rig = make_rig(
                folder,
                bundle=bundle,
                cloud=KnowingCloud(cloud.logits),
                stream=Stream(state=outbox.stream_state()),
                journal=outbox,
            )
            if hurry is None:
                kept.append(rig.agent.answer(index, inputs[index], limits))
            else:
                kept.extend(one.receipt for one in rig.agent.catch_up(limits, hurry=hurry))

    for index, (linked, hurry, share) in enumerate(moments):
        limits = budget(
            offload_share=share, target_window=0, defer=True, link_mbit_s=1.0 if linked else 0.0
        )
        steady.agent.answer(index, inputs[index], limits)
        steady.agent.catch_up(limits, hurry=hurry)
        one_step(index, limits, hurry=None)
        awake = kept[-1].bytes_down > 0  # a restarted agent does not know, so it hurries instead
        one_step(index, limits, hurry=hurry or awake)

    for receipt in (*kept, *steady.kept):  # fingerprints and delays depend on the clock
        receipt.latency_ms = 0
        if receipt.HasField("follows"):
            receipt.follows = 0
    assert_same(kept, steady.kept)


def test_belief_about_another_source_is_still_dropped_after_follow_ups(tmp_path: Path) -> None:
    inputs, cloud = random_stream(3, 6)
    hard = budget(defer=True, link_mbit_s=0, offload_share=0.99)

    def confidence(folder: Path, *, catching_up: bool) -> float:
        with Outbox(folder) as outbox:
            first = make_rig(folder, bundle=FILTERED, stream=Stream(source="porch"), journal=outbox)
            for index in range(5):
                first.agent.answer(index, inputs[index], hard)
            rig = make_rig(
                folder,
                bundle=FILTERED,
                cloud=KnowingCloud(cloud.logits),
                stream=Stream(source="garden", state=outbox.stream_state()),
                journal=outbox,
            )
            if catching_up:
                # Confidence that the answers do not correct, so that only the belief differs.
                found = rig.agent.catch_up(budget(defer=True), hurry=True)
                assert len(found) == 5
            uncorrected = budget(tolerated_risk=0.5, link_mbit_s=0)
            return rig.agent.answer(5, inputs[5], uncorrected).device_confidence

    expected = confidence(tmp_path / "a", catching_up=False)
    assert confidence(tmp_path / "b", catching_up=True) == pytest.approx(expected, abs=1e-9)


def test_damaged_input_is_dropped_and_the_next_one_is_asked_about(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        rig = make_rig(tmp_path, journal=outbox)
        for index in range(2):
            rig.agent.answer(index, HARD, OFFLINE)
        outbox._database._connection.execute(
            "UPDATE pending SET content = x'ffff' WHERE number = 1"
        )

        assert rig.agent.catch_up(LATER, hurry=True) == []
        (revision,) = rig.agent.catch_up(LATER, hurry=True)

        assert revision.receipt.input_index == 1
        assert outbox.pending_count() == 0


def test_cloud_that_answers_nothing_is_left_alone_for_longer_each_time(tmp_path: Path) -> None:
    cloud = ScriptedCloud(UnreachableError("gone"))
    rig = make_rig(tmp_path, cloud=cloud, draw=lambda: 0.999)
    rig.agent.answer(0, HARD, OFFLINE)

    for index in range(1, 40):
        rig.agent.answer(index, EASY, LATER)
        rig.agent.catch_up(LATER, hurry=True)

    assert cloud.request_count < 8
    assert rig.agent.pending == 1
    assert receipt_pb2.REASON_BACK_OFF in {receipt.route.reason for receipt in rig.kept}
    assert BUDGET.defer is False


def test_inputs_are_asked_about_after_a_failure_even_if_no_more_inputs_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(tmp_path, *[UnreachableError("gone")] * 3, None, draw=lambda: 0.999)
    now_ms = [1_700_000_000_000]
    monkeypatch.setattr("nestling_device.inference.agent.unix_ms", lambda: now_ms[0])
    rig.agent.answer(0, HARD, OFFLINE)
    tried = []

    for _ in range(10):
        if rig.agent.catch_up(LATER, hurry=True):
            break
        tried.append(rig.cloud.request_count)
        now_ms[0] += 60_000

    assert tried == [1, 2, 2, 3, 3, 3, 3]  # pauses of 1, 2 and 4 minutes
    assert rig.agent.pending == 0


class NarrowLink(ScriptedCloud):
    """A cloud that the deadline leaves time for three inputs at once."""

    groups: list[int]

    def offload_all(
        self, requests: Sequence[OffloadRequest], *, deadline_ms: float
    ) -> list[CloudAnswer | OffloadError]:
        self.groups.append(len(requests))
        if len(requests) > 3:
            return [DeadlineMissedError("late")] * len(requests)
        return super().offload_all(requests, deadline_ms=deadline_ms)


def test_groups_become_smaller_until_a_slow_link_carries_them(tmp_path: Path) -> None:
    cloud = NarrowLink(None)
    cloud.groups = []
    rig = make_rig(tmp_path, cloud=cloud, draw=always)
    for index in range(16):
        rig.agent.answer(index, HARD, OFFLINE)

    for index in range(16, 200):
        rig.agent.answer(index, EASY, LATER)
        rig.agent.catch_up(LATER, hurry=True)

    assert cloud.groups[:4] == [16, 8, 4, 2]
    assert rig.agent.pending == 0


def test_rest_of_a_group_waits_as_long_as_an_overloaded_cloud_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(tmp_path, None, OverloadedError("busy", retry_ms=5000), None, draw=always)
    now_ms = [1_700_000_000_000]
    monkeypatch.setattr("nestling_device.inference.agent.unix_ms", lambda: now_ms[0])
    for index in range(2):
        rig.agent.answer(index, HARD, OFFLINE)

    answered = rig.agent.catch_up(LATER, hurry=True)
    now_ms[0] += 4000
    too_early = rig.agent.catch_up(LATER, hurry=True)
    now_ms[0] += 2000
    later = rig.agent.catch_up(LATER, hurry=True)

    assert [one.receipt.input_index for one in answered] == [0]
    assert too_early == []
    assert [one.receipt.input_index for one in later] == [1]


def test_full_disk_while_catching_up_loses_nothing_and_the_next_agent_asks_again(
    tmp_path: Path,
) -> None:
    with Outbox(tmp_path) as outbox:
        rig = make_rig(tmp_path, journal=outbox)
        rig.agent.answer(0, HARD, OFFLINE)
        execute = outbox._database._connection.execute
        execute(
            "CREATE TRIGGER full BEFORE DELETE ON pending BEGIN SELECT RAISE(ABORT, 'full'); END"
        )

        with pytest.raises(StorageError, match="full"):
            rig.agent.catch_up(LATER, hurry=True)
        left = (outbox.marks().last, outbox.pending_count(), outbox.stream_state())
        execute("DROP TRIGGER full")
        stream = Stream(state=outbox.stream_state())
        again = make_rig(tmp_path, journal=outbox, stream=stream)
        (revision,) = again.agent.catch_up(LATER, hurry=True)

        assert left[:2] == (1, 1)
        assert left[2] == stream.state
        assert revision.receipt.input_index == 0
        assert (outbox.marks().last, outbox.pending_count()) == (2, 0)


def test_audit_is_judged_by_the_capacities_that_answered_whatever_is_loaded_now(
    tmp_path: Path,
) -> None:
    rig = make_rig(tmp_path, draw=lambda: 0.0)
    small = budget(audit_share=0.5, memory_bytes=MEMORY_BYTES[0])

    first = rig.agent.answer(0, EASY, AUDITING)
    rig.agent.answer(1, HARD, small)
    (revision,) = rig.agent.catch_up(small, hurry=True)

    assert (first.resident_capacity, rig.agent.bundle.nest.resident) == (3, 1)
    assert routes([revision.receipt]) == [(0, "audited")]
    assert revision.receipt.resident_capacity == 3
    assert revision.receipt.device_answer == first.answer
