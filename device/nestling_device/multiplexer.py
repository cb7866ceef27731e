"""Runs what routes: the multiplexer before a student, the accept head after."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling.budget import budget_vector
from nestling.session import open_session
from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Manifest
from nestling_device.delivery.blobs import BlobStore
from nestling_device.delivery.installer import SelfTestError

Floats = NDArray[np.float32]


class Judged(NamedTuple):
    """What the multiplexer says of capacity 1 to K and of the cloud, each (K + 1,).

    Attributes:
        success: to be right, and to be affordable under the budget.
        right: to be right, whatever the budget affords.
    """

    success: Floats
    right: Floats


class Multiplexer:
    """A bundle's multiplexer and accept head, loaded."""

    def __init__(self, manifest: Manifest, blobs: BlobStore) -> None:
        """Load both networks.

        Raises:
            DeliveryError: one of them is missing or damaged.
        """
        self._capacities = len(manifest.capacities)
        self._classes = len(manifest.signature.classes)
        self._before = open_session(blobs.read(manifest.multiplexer))
        self._after = open_session(blobs.read(manifest.accept_head))

    def judge(self, window: Floats, budget: Budget) -> Judged:
        """Judge every option before a student runs.

        Args:
            window: one input in the task's shape.
            budget: of now.

        Returns:
            Probabilities; 0 where the network overflowed on an input far outside of what a sensor
            gives, so that a receipt never carries what is no number.
        """
        success, right = (
            np.nan_to_num(one, posinf=0.0, neginf=0.0) for one in self._run(window, budget)
        )
        return Judged(success=success, right=right)

    def _run(self, window: Floats, budget: Budget) -> tuple[Floats, Floats]:
        given = {"input": window[None], "budget": budget_vector(budget)[None]}
        success, right = self._before.run(None, given)
        return success[0], right[0]

    def acceptance(self, logits: Floats, right: Floats, capacity: int) -> Floats:
        """Probability that each option is right, (K + 1,), now that a student ran.

        Args:
            logits: of the student, (classes,).
            right: what the multiplexer said of that, (K + 1,).
            capacity: which one ran, 1 to K.
        """
        chosen = np.zeros((1, self._capacities), np.float32)
        chosen[0, capacity - 1] = 1
        given = {"logits": logits[None], "right": right[None], "capacity": chosen}
        found: Floats = self._after.run(None, given)[0][0]
        return found

    def check(self, window: Floats) -> None:
        """Raise SelfTestError unless both networks answer one input with probabilities."""
        success, right = self._run(window, Budget())
        if not (self._are_probabilities(success) and self._are_probabilities(right)):
            raise SelfTestError("the multiplexer's answer is no probability for every option")
        accepted = self.acceptance(np.zeros(self._classes, np.float32), right, 1)
        if not self._are_probabilities(accepted):
            raise SelfTestError("the accept head's answer is no probability for every option")

    def _are_probabilities(self, values: Floats) -> bool:
        whole = values.shape == (self._capacities + 1,) and np.isfinite(values).all()
        return bool(whole and (values >= 0).all() and (values <= 1).all())
