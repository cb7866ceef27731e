from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nestling.v1 import receipt_pb2
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import Receipt
from nestling_core.routing.admission import transfer_ms
from nestling_device.inference.agent import Agent
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
    ListJournal,
    ScriptedCloud,
    budget,
    make_rig,
    routes,
    student_class,
)
from tests.support.hand_bundle import (
    CAPACITIES,
    EASY,
    HARD,
    MACS,
    UNSURE,
    hand_bundle,
    load_hand_bundle,
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


def test_answer_on_the_device_costs_no_radio_energy(tmp_path: Path) -> None:
    receipt = make_rig(tmp_path).agent.answer(0, EASY, BUDGET)

    assert {entry.source: entry.energy_mj > 0 for entry in receipt.energy} == {
        "compute": True,
        "radio": False,
    }
    assert (receipt.bytes_up, receipt.bytes_down) == (0, 0)


def test_no_answer_when_the_receipt_cannot_be_stored(tmp_path: Path) -> None:
    class FullDisk(ListJournal):
        def append(self, *receipts: Receipt, **_: object) -> None:
            raise StorageError("disk full")

    rig = make_rig(tmp_path, journal=FullDisk([], []))

    with pytest.raises(StorageError):
        rig.agent.answer(0, EASY, BUDGET)


def test_returned_answers_are_in_the_outbox(tmp_path: Path) -> None:
    bundle = load_hand_bundle(tmp_path / "blobs")
    with Outbox(tmp_path) as outbox:
        agent = Agent(
            bundle,
            ScriptedCloud(None),
            METER,
            deadline_ms=1,
            journal=outbox,
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
