"""Defines how inputs are sent to the cloud for an answer.

`Offloader` is the interface that the agent uses; `grpc_offloader` implements it. These are the
errors:

    OffloadError
    ├── DeadlineMissedError
    ├── UnreachableError
    ├── OverloadedError
    └── BadAnswerError
        └── ModelGoneError
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import WireForm
from nestling_core.kinds.kind import Answer
from nestling_device.errors import DeviceError


class OffloadError(DeviceError):
    """Raised when the cloud gives no usable answer.

    The device then uses its own answer.
    """


class DeadlineMissedError(OffloadError):
    """Raised when no answer arrives by the deadline."""


class UnreachableError(OffloadError):
    """Raised when the connection fails, or breaks before the answer arrives."""


class OverloadedError(OffloadError):
    """Raised when the cloud refuses the input because it could not answer in time.

    Attributes:
        retry_ms: the time after which the cloud wants to be asked again, in milliseconds.
    """

    def __init__(self, text: str, retry_ms: int) -> None:
        super().__init__(text)
        self.retry_ms = retry_ms


class BadAnswerError(OffloadError):
    """Raised when the cloud refuses the input, or when the cloud's answer is invalid."""


class ModelGoneError(BadAnswerError):
    """Raised when the cloud does not have the bundle's version of its model any more."""


@dataclass(frozen=True, kw_only=True)
class CloudAnswer:
    """The teacher's answer to one input, and its cost.

    Attributes:
        logits: the outputs of the teacher, finite float32 of shape (O,).
        bytes_up: the number of bytes sent, including an estimate for the framing.
        bytes_down: the number of bytes received, including an estimate for the framing.
        wall_ms: the measured time from the request to the answer.
    """

    logits: NDArray[np.float32]
    bytes_up: int
    bytes_down: int
    wall_ms: float


@dataclass(frozen=True, kw_only=True)
class OffloadRequest:
    """An input to send to the cloud.

    Attributes:
        window: the input, float32 in the task's shape, without a batch axis.
        index: the position of the input in the source, from 0.
        device_answer: the answer that the device would give, or None if no student ran.
        audit: whether the input is audited: it was drawn at random, not because it is hard.
    """

    window: NDArray[np.float32]
    index: int
    device_answer: Answer | None
    audit: bool = False


class Offloader(Protocol):
    """Gets the cloud's answers to inputs."""

    @property
    def form(self) -> WireForm:
        """The form in which the next input is sent, as far as is known."""
        ...

    def offload(self, request: OffloadRequest, *, deadline_ms: float) -> CloudAnswer:
        """Send an input to the cloud and return the cloud's answer.

        Args:
            request: the input, and what the device knows about it.
            deadline_ms: the longest wait for the answer.

        Raises:
            DeadlineMissedError: no answer arrived by the deadline.
            UnreachableError: the connection failed, or broke before the answer arrived.
            OverloadedError: the cloud could not have answered in time.
            BadAnswerError: the cloud refused the input, or the cloud's answer has the wrong shape
                or is not finite.
        """
        ...

    def offload_all(
        self, requests: Sequence[OffloadRequest], *, deadline_ms: float
    ) -> "list[CloudAnswer | OffloadError]":
        """Send several inputs at once, and return the result for each.

        Args:
            requests: the inputs, and what the device knows about them.
            deadline_ms: the longest wait for all of the answers.

        Returns:
            For each input, the cloud's answer, or the error that `offload` would raise.
        """
        ...

    def close(self) -> None:
        """Close the connection, or do nothing if it is closed already."""
        ...
