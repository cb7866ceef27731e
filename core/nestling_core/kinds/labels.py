"""Defines the kinds of tasks whose answers are classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nestling_core.kinds.kind import Answer, Answers, Bools, Outputs

MOST_LABELS = 63
"""The most classes of a multi-label task: an answer is a signed 64-bit integer in databases."""


@dataclass(frozen=True)
class SingleLabel:
    """Every input has exactly one class, the one with the largest output.

    Attributes:
        classes: the names of the classes, in order of the outputs.
    """

    classes: tuple[str, ...]
    name = "single-label"

    @property
    def teacher_outputs(self) -> int:
        return len(self.classes)

    @property
    def student_outputs(self) -> int:
        return len(self.classes)

    @property
    def groups(self) -> int:
        return len(self.classes)

    @property
    def alternatives(self) -> float:
        return len(self.classes) - 1

    def answers(self, outputs: Outputs) -> Answers:
        found: Answers = outputs.argmax(axis=1)
        return found

    def success(self, answers: Answers, references: Answers) -> Bools:
        right: Bools = answers == references
        return right

    def packed(self, answers: Answers) -> list[Answer]:
        return [Answer(code) for code in answers.tolist()]

    def unpacked(self, answers: Sequence[Answer]) -> Answers:
        return np.array([answer.code for answer in answers], np.int64)

    def group(self, answer: Answer) -> int:
        return answer.code

    def is_valid(self, answer: Answer) -> bool:
        return 0 <= answer.code < len(self.classes) and not answer.values

    def text(self, answer: Answer) -> str:
        return self.classes[answer.code]

    def truth_text(self, label: Answers) -> str:
        return self.text(self.packed(label)[0])

    def details(self, answer: Answer) -> dict[str, Any]:
        del answer
        return {}


SINGLE_LABEL = SingleLabel(())
"""The kind of any single-label task, where the names of the classes do not matter."""


@dataclass(frozen=True)
class MultiLabel:
    """An input may have any number of classes: those with an output above 0.

    An output is the log-odds of its class. An answer is right if it has exactly the right classes.

    Attributes:
        classes: the names of the classes, in order of the outputs.
    """

    classes: tuple[str, ...]
    name = "multi-label"
    groups = 1

    @property
    def teacher_outputs(self) -> int:
        return len(self.classes)

    @property
    def student_outputs(self) -> int:
        return len(self.classes)

    @property
    def alternatives(self) -> float:
        return float(2 ** len(self.classes) - 1)

    def answers(self, outputs: Outputs) -> Answers:
        found: Answers = outputs > 0
        return found

    def success(self, answers: Answers, references: Answers) -> Bools:
        right: Bools = (answers == references).all(axis=1)
        return right

    def packed(self, answers: Answers) -> list[Answer]:
        return [
            Answer(sum(1 << place for place in np.flatnonzero(row).tolist())) for row in answers
        ]

    def unpacked(self, answers: Sequence[Answer]) -> Answers:
        codes = np.array([answer.code for answer in answers], np.uint64)
        places = np.arange(len(self.classes), dtype=np.uint64)
        return (codes[:, None] >> places & np.uint64(1)).astype(np.bool_)

    def group(self, answer: Answer) -> int:
        del answer
        return 0

    def is_valid(self, answer: Answer) -> bool:
        return 0 <= answer.code < 1 << len(self.classes) and not answer.values

    def text(self, answer: Answer) -> str:
        return " + ".join(self._names(answer)) or "none"

    def truth_text(self, label: Answers) -> str:
        return self.text(self.packed(label)[0])

    def details(self, answer: Answer) -> dict[str, Any]:
        return {"labels": self._names(answer)}

    def _names(self, answer: Answer) -> list[str]:
        return [name for place, name in enumerate(self.classes) if answer.code >> place & 1]
