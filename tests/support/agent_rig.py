"""An agent with a hand-made bundle, a scripted cloud and a list of its receipts."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling.v1 import receipt_pb2
from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Manifest, WireForm
from nestling.v1.receipt_pb2 import Receipt
from nestling.v1.stream_pb2 import PendingInput, StreamState
from nestling_core.routing.admission import offload_bytes, transfer_ms
from nestling_core.wire.choice import plain_form
from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.energy.measured_costs import MeasuredCosts
from nestling_device.energy.meter import ProfileMeter
from nestling_device.energy.power_tables import Board, Link
from nestling_device.inference.agent import Agent
from nestling_device.inference.journal import Journal
from nestling_device.inference.offloader import (
    CloudAnswer,
    OffloadError,
    OffloadRequest,
)
from nestling_device.inference.stream_state import Stream
from nestling_device.telemetry.pending_inputs import Pending
from tests.support.hand_bundle import (
    CAPACITIES,
    CLASSES,
    MEMORY_BYTES,
    Blobs,
    hand_bundle,
    load_hand_bundle,
)

METER = ProfileMeter(
    Board(name="b", idle_w=1.0, busy_w=3.0, gmacs_per_s=1.0, run_overhead_ms=0.5),
    Link(name="l", base_w=2.0, w_per_mbit_s=0.0, tail_mj=0.0, mbit_s=1.0, rtt_ms=10.0),
)
BUDGET = Budget(
    memory_bytes=MEMORY_BYTES[-1],
    latency_ms=1000,
    energy_mj=1000,
    link_mbit_s=1.0,
    link_rtt_ms=10,
    battery=1,
    offload_share=0.5,
)
CLOUD_CLASS = CLASSES - 1
SIZE = offload_bytes(plain_form((2, 3)))


class ScriptedCloud:
    """An offloader with scripted outcomes; the last one repeats. None stands for an answer."""

    def __init__(self, *outcomes: OffloadError | None) -> None:
        self._outcomes = list(outcomes)
        self.requests: list[OffloadRequest] = []

    @property
    def form(self) -> WireForm:
        return plain_form((2, 3))

    def change(self, *outcomes: OffloadError | None) -> None:
        """Replace the outcomes that have not come yet."""
        self._outcomes = list(outcomes)

    @property
    def request_count(self) -> int:
        return len(self.requests)

    def offload(self, request: OffloadRequest, *, deadline_ms: float) -> CloudAnswer:
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        self.requests.append(request)
        if outcome is not None:
            raise outcome
        logits = np.zeros(CLASSES, np.float32)
        logits[CLOUD_CLASS] = 1
        return CloudAnswer(logits=logits, bytes_up=200, bytes_down=100, wall_ms=3.0)

    def offload_all(
        self, requests: Sequence[OffloadRequest], *, deadline_ms: float
    ) -> list[CloudAnswer | OffloadError]:
        results: list[CloudAnswer | OffloadError] = []
        for request in requests:
            try:
                results.append(self.offload(request, deadline_ms=deadline_ms))
            except OffloadError as err:
                results.append(err)
        return results

    def close(self) -> None:
        pass


class KnowingCloud(ScriptedCloud):
    """An offloader that has logits for each input, by its index."""

    def __init__(self, logits: Sequence[NDArray[np.float32]]) -> None:
        super().__init__(None)
        self.logits = logits

    def offload(self, request: OffloadRequest, *, deadline_ms: float) -> CloudAnswer:
        answer = super().offload(request, deadline_ms=deadline_ms)
        return dataclasses.replace(answer, logits=self.logits[request.index])


@dataclasses.dataclass
class AgentRig:
    """An agent, its cloud, and the receipts and the states of its stream that it stored."""

    agent: Agent
    cloud: ScriptedCloud
    kept: list[Receipt]
    states: list[StreamState]


class ListJournal:
    """A journal that keeps receipts and states in lists, and the waiting inputs in memory."""

    def __init__(self, kept: list[Receipt], states: list[StreamState]) -> None:
        self.kept = kept
        self._states = states
        self._waiting: dict[int, PendingInput] = {}
        self._number = 0

    def append(
        self,
        *receipts: Receipt,
        stream_state: StreamState | None = None,
        added: Sequence[PendingInput] = (),
        removed: Sequence[int] = (),
    ) -> None:
        self.kept.extend(receipts)
        if stream_state is not None:
            self._states.append(stream_state)
        for number in removed:
            del self._waiting[number]
        for one in added:
            self._number += 1
            self._waiting[self._number] = one

    def pending(self, limit: int) -> list[Pending]:
        return [Pending(*one) for one in sorted(self._waiting.items())[:limit]]

    def pending_count(self) -> int:
        return len(self._waiting)


class Growth:
    """Fetches more capacities after a given number of failures."""

    def __init__(self, folder: Path, failures: int = 0) -> None:
        self._folder = folder
        self._failures = failures
        self.budgets: list[int] = []  # bytes

    def __call__(self, memory_bytes: int) -> LoadedBundle:
        self.budgets.append(memory_bytes)
        if len(self.budgets) <= self._failures:
            raise DeliveryError("the cloud cannot be reached")
        held = sum(needed <= memory_bytes for needed in MEMORY_BYTES)
        return load_hand_bundle(self._folder, held=held)


def make_rig(
    folder: Path,
    *outcomes: OffloadError | None,
    held: int = CAPACITIES,
    grow: Callable[[int], LoadedBundle] | None = None,
    costs: MeasuredCosts | None = None,
    bundle: tuple[Manifest, Blobs] | None = None,
    cloud: ScriptedCloud | None = None,
    stream: Stream = Stream(),  # noqa: B008 - immutable
    draw: Callable[[], float] = lambda: 1.0,
    journal: Journal | None = None,
) -> AgentRig:
    kept: list[Receipt] = []
    states: list[StreamState] = []
    cloud = cloud or ScriptedCloud(*(outcomes or (None,)))

    agent = Agent(
        load_hand_bundle(folder, held=held, bundle=bundle),
        cloud,
        METER,
        deadline_ms=100,
        journal=journal or ListJournal(kept, states),
        grow=grow or Growth(folder),
        costs=costs,
        stream=stream,
        draw=draw,
    )
    return AgentRig(agent, cloud, kept, states)


def budget(**changes: float) -> Budget:
    return like(BUDGET, **changes)


def like(other: Budget, **changes: float) -> Budget:
    changed = Budget()
    changed.CopyFrom(other)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


SLOW = budget(link_mbit_s=0.1, target_window=50)  # an offload costs more than a run
SENT_MS = transfer_ms(SIZE, SLOW)


def routes(receipts: Iterable[Receipt]) -> list[tuple[int, str]]:
    return [
        (receipt.route.capacity, receipt_pb2.Reason.Name(receipt.route.reason)[7:].lower())
        for receipt in receipts
    ]


def student_class(
    folder: Path,
    given: NDArray[np.float32],
    capacity: int = CAPACITIES,
    calibrated: bytes | None = None,
) -> int:
    bundle = hand_bundle(calibration=calibrated) if calibrated else None
    nest = load_hand_bundle(folder, bundle=bundle).nest
    nest.load(capacity)
    return int(nest.run(given[None]).logits.argmax())


def assert_same(found: Sequence[Receipt], expected: Sequence[Receipt]) -> None:
    """Compare receipts, but not the times at which they were written.

    The confidence may differ by the rounding of a stored belief.
    """
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert abs(one.device_confidence - other.device_confidence) < 1e-6
        copy = Receipt()
        copy.CopyFrom(one)
        copy.answered_at_ms, copy.wall_ms = other.answered_at_ms, other.wall_ms
        copy.device_confidence = other.device_confidence
        assert copy == other
