"""Defines the kind of task whose answers say whether an input is an anomaly."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nestling_core.kinds.kind import Answer, Answers, Bools, Outputs, are_finite

# Scores beyond e^30 say nothing more, and would overflow in single precision at e^88.
_LARGEST_LOGARITHM = 30.0


@dataclass(frozen=True)
class Anomaly:
    """An answer is a score, which is above 1 for an anomaly.

    The only output of a model is the natural logarithm of the score, so that 0 is the threshold. An
    answer is right if it decides like the reference.

    Attributes:
        classes: the names of a normal input and of an anomaly.
    """

    classes: tuple[str, str]
    name = "anomaly"
    teacher_outputs = 1
    student_outputs = 1
    groups = 2
    alternatives = 1.0

    def answers(self, outputs: Outputs) -> Answers:
        scores: Answers = np.exp(
            np.clip(outputs, -_LARGEST_LOGARITHM, _LARGEST_LOGARITHM), dtype=np.float32
        )
        return scores

    def success(self, answers: Answers, references: Answers) -> Bools:
        right: Bools = self.decisions(answers) == self.decisions(references)
        return right

    def decisions(self, answers: Answers) -> Bools:
        """Return which inputs are anomalies, (N,).

        Args:
            answers: scores, float (N, 1), or labels, 0 or 1, int (N,).
        """
        if answers.dtype.kind in "iub":
            return answers.astype(np.bool_).reshape(len(answers))
        anomalous: Bools = answers.reshape(len(answers)) > 1
        return anomalous

    def packed(self, answers: Answers) -> list[Answer]:
        scores = answers.reshape(len(answers)).tolist()
        return [
            Answer(int(anomalous), (float(score),))
            for score, anomalous in zip(scores, self.decisions(answers).tolist(), strict=True)
        ]

    def unpacked(self, answers: Sequence[Answer]) -> Answers:
        return np.array([answer.values for answer in answers], np.float32).reshape(len(answers), 1)

    def group(self, answer: Answer) -> int:
        return answer.code

    def is_valid(self, answer: Answer) -> bool:
        decided = are_finite(answer.values, 1) and answer.code == (answer.values[0] > 1)
        return decided and answer.values[0] >= 0

    def text(self, answer: Answer) -> str:
        (score,) = answer.values or (math.nan,)
        return f"{self.classes[answer.code]} ({score:.2g})"

    def truth_text(self, label: Answers) -> str:
        return self.classes[int(label[0])]

    def details(self, answer: Answer) -> dict[str, Any]:
        return {"score": answer.values[0]} if answer.values else {}
