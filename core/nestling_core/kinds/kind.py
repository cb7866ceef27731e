"""Defines what every kind of task says about outputs and answers.

Many answers form an array, whose rows are like the labels of the task's examples:

    single-label    int64 (N,)      the index of the class
    multi-label     bool (N, C)     whether the input has each class
    regression      float32 (N, D)  the estimated values
    anomaly         float32 (N, 1)  the score, where 1 is the threshold

One answer by itself, as it is in receipts, is an `Answer`.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature

Outputs = NDArray[np.floating]
Answers = NDArray[Any]
Bools = NDArray[np.bool_]


class KindError(ValueError):
    """Raised when the kind of a signature is unknown, or the signature does not suit its kind."""


class Answer(NamedTuple):
    """One answer, in the form of a receipt.

    Attributes:
        code: the index of the class; in a multi-label task, a number in which bit i stands for
            class i; in an anomaly task, 1 for an anomaly and 0 otherwise; in a regression task 0.
        values: the estimated values of a regression task, or the score of an anomaly task;
            otherwise empty.
    """

    code: int
    values: tuple[float, ...] = ()


class Kind(Protocol):
    """The meaning of a task's outputs and answers."""

    @property
    def name(self) -> str:
        """The name of the kind, as in `Signature.kind`."""
        ...

    @property
    def teacher_outputs(self) -> int:
        """The number of values that a teacher gives for an input."""
        ...

    @property
    def student_outputs(self) -> int:
        """The number of values that a student gives for an input.

        They begin with those of a teacher. A regression student also says how uncertain it is.
        """
        ...

    @property
    def groups(self) -> int:
        """The number of groups of answers, whose confidence is corrected separately."""
        ...

    @property
    def alternatives(self) -> float:
        """The number of possible answers other than the right one; infinite in a regression."""
        ...

    def answers(self, outputs: Outputs) -> Answers:
        """Return the answers that follow from the outputs of a model.

        Args:
            outputs: the outputs of a teacher or a student, (N, O).
        """
        ...

    def success(self, answers: Answers, references: Answers) -> Bools:
        """Return whether answers are right.

        Args:
            answers: the answers, (N, ...).
            references: the true answers, or those of the cloud, (N, ...). In an anomaly task, they
                may also be labels, 0 or 1, (N,).
        """
        ...

    def packed(self, answers: Answers) -> list[Answer]:
        """Return the answers in an array, one by one."""
        ...

    def unpacked(self, answers: Sequence[Answer]) -> Answers:
        """Return answers as an array, as `Kind.answers` returns it."""
        ...

    def group(self, answer: Answer) -> int:
        """Return the group of an answer, from 0."""
        ...

    def is_valid(self, answer: Answer) -> bool:
        """Return whether an answer, for example one in a receipt, is possible in this task."""
        ...

    def text(self, answer: Answer) -> str:
        """Return an answer as a short text for people."""
        ...

    def truth_text(self, label: Answers) -> str:
        """Return a label, (1, ...), as a short text for people."""
        ...

    def details(self, answer: Answer) -> dict[str, Any]:
        """Return what a program may want to know about an answer besides its text, for JSON."""
        ...


def agree(kind: Kind, answer: Answer, reference: Answer) -> bool:
    """Return whether an answer is right if a reference is.

    Args:
        kind: the kind of the task.
        answer: the answer.
        reference: the reference, for example the cloud's answer.
    """
    return bool(kind.success(kind.unpacked([answer]), kind.unpacked([reference]))[0])


def answer_of(kind: Kind, outputs: Outputs) -> Answer:
    """Return the answer that follows from a model's outputs for one input, (O,)."""
    return kind.packed(kind.answers(outputs[None]))[0]


def name_of(signature: Signature) -> str:
    """Return the name of a signature's kind."""
    return signature.kind or "single-label"


def are_finite(values: Sequence[float], count: int) -> bool:
    """Return whether there are `count` values, all of them finite."""
    return len(values) == count and all(map(math.isfinite, values))
