"""Defines the kind of task whose answers are numeric values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nestling_core.kinds.kind import Answer, Answers, Bools, Outputs, are_finite


@dataclass(frozen=True)
class Regression:
    """An answer is a value for each of several quantities, such as a flow rate.

    An answer is right if every value is within the tolerance of its quantity.

    A teacher's outputs are the values, in their units. A student's outputs are the values, and then
    for each the natural logarithm of its expected error in tolerances, which says how far the
    student can be trusted.

    Attributes:
        names: the names of the quantities, in order of the outputs.
        units: the unit of each quantity.
        tolerances: the largest error of each quantity with which an answer counts as right.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    tolerances: tuple[float, ...]
    name = "regression"
    groups = 1
    alternatives = float("inf")

    @property
    def teacher_outputs(self) -> int:
        return len(self.names)

    @property
    def student_outputs(self) -> int:
        return 2 * len(self.names)

    def answers(self, outputs: Outputs) -> Answers:
        return np.asarray(outputs[:, : len(self.names)], np.float32)

    def success(self, answers: Answers, references: Answers) -> Bools:
        errors = np.abs(np.asarray(answers, np.float64) - np.asarray(references, np.float64))
        within: Bools = errors <= np.array(self.tolerances)
        right: Bools = np.logical_and.reduce(within, axis=1)
        return right

    def packed(self, answers: Answers) -> list[Answer]:
        return [Answer(0, tuple(row)) for row in answers.tolist()]

    def unpacked(self, answers: Sequence[Answer]) -> Answers:
        return np.array([answer.values for answer in answers], np.float32).reshape(
            len(answers), len(self.names)
        )

    def group(self, answer: Answer) -> int:
        del answer
        return 0

    def is_valid(self, answer: Answer) -> bool:
        return answer.code == 0 and are_finite(answer.values, len(self.names))

    def text(self, answer: Answer) -> str:
        values = zip(self.names, answer.values, self.units, strict=True)
        if len(self.names) == 1:
            return " ".join(f"{value:.4g} {unit}".strip() for _, value, unit in values)
        return ", ".join(f"{name} {value:.4g} {unit}".strip() for name, value, unit in values)

    def truth_text(self, label: Answers) -> str:
        return self.text(self.packed(label)[0])

    def details(self, answer: Answer) -> dict[str, Any]:
        return {"values": dict(zip(self.names, answer.values, strict=True))}
