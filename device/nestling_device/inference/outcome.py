"""Defines the outcome of routing an input, which is its answer with its route."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling.v1 import receipt_pb2
from nestling.v1.receipt_pb2 import FollowUp, Reason
from nestling_core.belief.reliability import Prediction
from nestling_core.kinds.kind import Answer
from nestling_device.inference.student import LocalAnswer

NOT_FOLLOWED = receipt_pb2.FOLLOW_UP_UNSPECIFIED


class Shadows(NamedTuple):
    """What the belief of each threshold says about an input.

    Attributes:
        answers: the class that each threshold would answer, (T,).
        sure: the class probabilities, (T, C).
    """

    answers: NDArray[np.intp]
    sure: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class AuditOfThresholds:
    """What each threshold does with an audited input, to be judged by the cloud's answer.

    Attributes:
        block: the number of the block of audits.
        kept: whether each threshold keeps its answer, (T,).
        shadows: what each threshold's own belief says, or None without a filter: all thresholds
            then give the device's answer.
    """

    block: int
    kept: NDArray[np.bool_]
    shadows: Shadows | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The answer to an input, and its route.

    Attributes:
        answer: the answer.
        capacity: the capacity that gave the answer, or 0 for the cloud.
        reason: the reason for the route.
        local: the device's own last answer, or None if no capacity of the student ran.
        follow_up: why the cloud is to be asked later, or `NOT_FOLLOWED`.
        prediction: the device's answer with its confidence before corrections, or None if the
            cloud answered.
        sure: the class probabilities that the device believes, (C,), or None without a filter or if
            the cloud answered.
        charged: whether no target is to be charged when the cloud answers a deferred input.
        audit: what each threshold does with the input, if it is audited under a tolerated risk and
            the cloud has not answered, or None.
    """

    answer: Answer
    capacity: int
    reason: Reason.ValueType
    local: LocalAnswer | None
    follow_up: FollowUp.ValueType = NOT_FOLLOWED
    prediction: Prediction | None = None
    sure: NDArray[np.float64] | None = None
    charged: bool = False
    audit: AuditOfThresholds | None = None

    @property
    def offloaded(self) -> bool:
        """Whether the reason for the route is not ACCEPTED.

        In that case, the input was sent to the cloud, whether or not the cloud answered, or the
        cloud was not an option.
        """
        return self.reason != receipt_pb2.REASON_ACCEPTED
