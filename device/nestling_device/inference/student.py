"""Runs the loaded capacities of the student on inputs.

It also detects when inputs become harder than those that the bundle was calibrated on.
"""

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling.v1.budget_pb2 import Budget
from nestling_core.kinds.kind import Answer
from nestling_device.bundle.calibration import cascade_to
from nestling_device.inference import policy
from nestling_device.inference.capacity_loader import CapacityLoader
from nestling_device.inference.cost_account import CostAccount
from nestling_device.inference.drift import DriftDetector, rank_of
from nestling_device.inference.input_check import Window
from nestling_device.inference.input_errors import UnanswerableError
from nestling_device.inference.stream_belief import StreamBelief

_log = logging.getLogger(__name__)

_DRIFT_STARTED = (
    "inputs are harder than those that the bundle was calibrated on: its accuracies do not apply"
)
_DRIFT_ENDED = "inputs are again like those that the bundle was calibrated on"

Floats = NDArray[np.float32]


class LocalAnswer(NamedTuple):
    """The device's own answer after one capacity has run.

    Attributes:
        answer: the answer.
        capacity: the capacity that ran, 1 to K.
        right: the probability that each option (capacities 1 to K, then the cloud) is right, as
            predicted in this run without the belief about the stream, float32 (K + 1,).
        confidence: the probability that the answer is right, given everything that the device knows
            about the stream.
    """

    answer: Answer
    capacity: int
    right: Floats
    confidence: float

    @property
    def cloud_right(self) -> float:
        """The predicted probability that the cloud is right."""
        return float(self.right[-1])

    @property
    def cloud_gain(self) -> float:
        """The cloud's predicted success probability minus the confidence in this answer."""
        return self.cloud_right - self.confidence

    def cloud_gain_over(self, capacity: int) -> float:
        """Return the cloud's predicted gain over the device if a larger capacity runs, too.

        The device is then expected to give the better of this answer and the larger capacity's.

        Args:
            capacity: the larger capacity, 1 to K.
        """
        return self.cloud_right - max(self.confidence, float(self.right[capacity - 1]))

    def gain_of(self, capacity: int) -> float:
        """Return the predicted gain of a larger capacity over the one that ran.

        Both are judged without the belief about the stream.

        Args:
            capacity: the larger capacity, 1 to K.
        """
        return float(self.right[capacity - 1] - self.right[self.capacity - 1])


class Student:
    """Runs the loaded capacities on inputs.

    Either one capacity is loaded, or two that form a cascade. In a cascade, the smaller capacity
    runs first. The larger one runs after it if it is expected to improve the answer enough.

    Args:
        loader: the loader that keeps the capacities in memory.
        belief: the belief about the stream, which is updated after each run.
        drift: the drift detector to continue with.
    """

    def __init__(self, loader: CapacityLoader, belief: StreamBelief, drift: DriftDetector) -> None:
        self._loader = loader
        self._belief = belief
        self._drift = drift
        self._ran = False

    @property
    def drift(self) -> DriftDetector:
        """The drift detector after the last run."""
        return self._drift

    @property
    def drifting(self) -> bool | None:
        """Whether inputs are harder than the calibration inputs.

        The value is None if no capacity has run since `begin` was called.
        """
        return self._drift.noticed if self._ran else None

    def begin(self, budget: Budget, *, rows: int = 1, in_use: int = 0) -> None:
        """Begin the next input, on which no capacity has run yet.

        Args:
            budget: the limits and targets for the input.
            rows: the number of beliefs about the stream.
            in_use: the index of the belief with which the device answers.
        """
        self._ran = False
        corrected = not budget.tolerated_risk > 0
        self._belief.begin(self._loader.curve(), corrected=corrected, rows=rows, in_use=in_use)

    def answer(self, window: Window, account: CostAccount) -> LocalAnswer:
        """Return the device's own answer, for which a cascade may run both loaded capacities.

        Raises:
            UnanswerableError: the student's output is not finite.
        """
        return self.run_larger(window, self.run_first(window, account), account)

    def run_first(self, window: Window, account: CostAccount) -> LocalAnswer:
        """Return the answer of the capacity that runs first.

        The drift detector is updated with the input's difficulty, which this run predicts. The
        start or end of drift is logged.

        Raises:
            UnanswerableError: the student's output is not finite.
        """
        nest = self._loader.bundle.nest
        local = self._run(window, nest.start, account)
        self._ran = True
        rank = rank_of(float(local.right[nest.resident - 1]), self._loader.curve().believed)
        before, self._drift = self._drift, self._drift.after_input(rank)
        if self._drift.noticed != before.noticed:
            _log.info(_DRIFT_STARTED if self._drift.noticed else _DRIFT_ENDED)
        return local

    def run_larger(self, window: Window, local: LocalAnswer, account: CostAccount) -> LocalAnswer:
        """Return the answer of the largest loaded capacity, or the earlier answer.

        The largest capacity runs only if the earlier answer came from a smaller one, and if it is
        expected to improve that answer enough.

        Args:
            window: the input.
            local: the earlier answer to the same input.
            account: the cost account of the input.

        Raises:
            UnanswerableError: the student's output is not finite.
        """
        bundle = self._loader.bundle
        resident = bundle.nest.resident
        if local.capacity == resident:
            return local
        gain = local.gain_of(resident)
        if not policy.runs_larger(gain, cascade_to(bundle.calibration, resident).threshold):
            return local
        return self._run(window, resident, account)

    def _run(self, window: Window, capacity: int, account: CostAccount) -> LocalAnswer:
        entry = self._loader.bundle.manifest.capacities[capacity - 1]
        output = account.run(
            entry.macs, lambda: self._loader.bundle.nest.run(window[None], capacity)
        )
        if not (np.isfinite(output.logits).all() and np.isfinite(output.right).all()):
            raise UnanswerableError(
                f"the input, with values up to {np.abs(window).max():.3g}, is too large: "
                f"the output of capacity {capacity} is not finite"
            )
        right = output.right[0]
        judged = self._belief.after_run(output.logits[0], float(right[capacity - 1]))
        return LocalAnswer(judged.answer, capacity, right, judged.confidence)
