"""Saves and resumes what an agent knows about its stream."""

from dataclasses import dataclass
from typing import cast, get_args

from nestling.v1.stream_pb2 import StreamState
from nestling_device.inference.drift import DriftDetector
from nestling_device.inference.stream_belief import StreamBelief
from nestling_device.inference.target_controller import Kind, TargetController


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The stream of inputs that an agent answers.

    Attributes:
        source: the name of the source. A belief about one source says nothing about another one.
        gap_s: the longest pause between two inputs, in seconds, after which the belief is kept.
        state: the state after the newest receipt on the disk, or None to start without one.
    """

    source: str = ""
    gap_s: float = 60.0
    state: StreamState | None = None

    def state_for(self, bundle_version: str) -> StreamState:
        """Return the state to continue with, or an empty one if `state` is of another bundle.

        Args:
            bundle_version: the version of the bundle in use.
        """
        same = self.state is not None and self.state.bundle_version == bundle_version
        return self.state if same and self.state is not None else StreamState()

    def continues(self, state: StreamState, now_ms: int) -> bool:
        """Return whether the next input belongs to the stream that a state describes.

        Args:
            state: the state after the previous input.
            now_ms: the current Unix time, in milliseconds.
        """
        # A clock that is set back a little is no gap.
        pause_s = abs(now_ms - state.answered_at_ms) / 1000
        return state.source == self.source and pause_s <= self.gap_s

    def saved(
        self,
        bundle_version: str,
        answered_at_ms: int,
        belief: StreamBelief,
        controller: TargetController,
        drift: DriftDetector,
    ) -> StreamState:
        """Return the state from which another agent can continue.

        Args:
            bundle_version: the version of the bundle in use.
            answered_at_ms: the Unix time of the newest answer, in milliseconds.
            belief: the belief after this answer.
            controller: the target controller after this answer.
            drift: the drift detector after this answer.
        """
        state = StreamState(
            bundle_version=bundle_version,
            source=self.source,
            answered_at_ms=answered_at_ms,
            owed=controller.owed,
            owed_window=controller.window,
            owed_kind=controller.kind,
            drift_evidence=drift.evidence,
            drift_noticed=drift.noticed,
        )
        belief.save(state)
        return state


def controller_of(state: StreamState) -> TargetController:
    """Return the target controller of a state."""
    if state.owed_kind not in get_args(Kind):
        return TargetController()
    return TargetController(state.owed, state.owed_window, cast("Kind", state.owed_kind))


def detector_of(state: StreamState) -> DriftDetector:
    """Return the drift detector of a state."""
    return DriftDetector(state.drift_evidence, state.drift_noticed)
