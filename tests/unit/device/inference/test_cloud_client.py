import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling.v1 import receipt_pb2
from nestling.v1.bundle_pb2 import WireForm
from nestling_core.kinds.kind import Answer
from nestling_core.routing.admission import FRAMING_BYTES, offload_bytes, transfer_ms
from nestling_core.wire.choice import plain_form
from nestling_device.inference.cloud_client import Cloud
from nestling_device.inference.limit_notices import LimitNotices
from nestling_device.inference.offloader import (
    BadAnswerError,
    CloudAnswer,
    DeadlineMissedError,
    OffloadError,
    OffloadRequest,
    OverloadedError,
    UnreachableError,
)
from tests.support.agent_rig import (
    BUDGET,
    METER,
    SIZE,
    ScriptedCloud,
    budget,
    make_rig,
    routes,
    student_class,
)
from tests.support.hand_bundle import EASY, HARD, MACS
from tests.support.wire import INT8


@pytest.mark.parametrize("share", [1.0, 0.5], ids=["no student", "escalated"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DeadlineMissedError("late"), "deadline_missed"),
        (UnreachableError("gone"), "unreachable"),
        (OverloadedError("busy", retry_ms=50), "overloaded"),
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
    assert sent == [(5, None), (6, Answer(escalated.device_answer))]
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


class Forgetful(ScriptedCloud):
    """A cloud that takes plain floats, which the device forgets when the cloud refuses an input."""

    @property
    def form(self) -> WireForm:
        return INT8 if self.requests else plain_form((2, 3))


def test_failed_offload_costs_the_bytes_of_the_form_that_was_sent(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, cloud=Forgetful(BadAnswerError("nonsense")))

    receipt = rig.agent.answer(0, HARD, BUDGET)

    assert receipt.bytes_up == SIZE
    assert receipt.bytes_up != offload_bytes(INT8)


class Hesitant(ScriptedCloud):
    """A cloud that takes 60 ms to refuse."""

    def offload(self, request: OffloadRequest, *, deadline_ms: float) -> CloudAnswer:
        threading.Event().wait(0.06)  # nobody sets it
        return super().offload(request, deadline_ms=deadline_ms)


def test_pause_after_an_overload_begins_with_the_refusal(tmp_path: Path) -> None:
    cloud = Hesitant(OverloadedError("busy", retry_ms=50), None)
    rig = make_rig(tmp_path, cloud=cloud, draw=lambda: 0.0)

    started = time.monotonic()
    index = 0
    while cloud.request_count < 2:
        rig.agent.answer(index, HARD, BUDGET)
        index += 1

    # Twice 60 ms, and 50 ms between, less the rounding of clocks.
    assert time.monotonic() - started > 0.15


@pytest.mark.parametrize(
    ("fault", "seconds", "pauses"),
    [
        (UnreachableError("gone"), 0, True),
        (UnreachableError("gone"), 59.9, True),
        (UnreachableError("gone"), 60, False),
        (UnreachableError("gone"), -60, False),  # the clock was set back
        (OverloadedError("busy", retry_ms=60_000), 59, True),
        (OverloadedError("busy", retry_ms=60_000), 121, False),
    ],
)
def test_pause_for_answered_inputs_ends_without_new_inputs_too(
    fault: OffloadError, seconds: float, *, pauses: bool
) -> None:
    cloud = Cloud(ScriptedCloud(fault), METER, LimitNotices(), deadline_ms=1, draw=lambda: 0.0)
    request = OffloadRequest(window=HARD, index=0, device_answer=None)

    before = cloud.pauses_later(1_000_000)
    cloud.answer_all([request], BUDGET, 1_000_000)

    assert not before
    assert cloud.pauses_later(1_000_000 + round(seconds * 1000)) == pauses
