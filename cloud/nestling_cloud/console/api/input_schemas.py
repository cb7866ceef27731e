"""Defines the schemas of stored inputs and their labels."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel, Field

from nestling_cloud.console.api.schemas import StrictMessage, ViewMessage
from nestling_cloud.inputs.released_labels import ReleasedLabels
from nestling_cloud.store.hard_inputs import HardInput
from nestling_cloud.store.labeled_inputs import StoredInput
from nestling_core.kinds.kind import Answer

_LABEL = (
    "in a single-label task the name of the class; in a multi-label task a list of the names of "
    "its classes, which may be empty; in a regression task an object with a number for each value; "
    "in an anomaly task the name of what is normal or of the anomaly"
)

_AGREES = (
    "whether the device's answer is right if the cloud's is; null without an answer of the device"
)


class LabelMessage(StrictMessage):
    """A label for an input, in the form of the task's kind."""

    label: Any = Field(
        description=_LABEL, examples=["Trouser", ["dog", "cat"], {"flow": 3.2}, "normal"]
    )


class AnswerMessage(BaseModel):
    """An answer to an input."""

    text: str | None = Field(
        description="the answer for people; null if the released bundle does not have this answer"
    )
    label: Any = Field(
        description="the answer in the form of a label; null if the released bundle does not have "
        f"it; {_LABEL}"
    )
    code: int = Field(
        description="as in receipts: the index of the class; in a multi-label task a number in "
        "which bit i stands for class i; in an anomaly task 1 for an anomaly; in a regression 0"
    )
    values: tuple[float, ...] = Field(
        description="the values of a regression, or the score of an anomaly task; otherwise empty"
    )

    @classmethod
    def of(cls, task: str, answer: Answer, released: ReleasedLabels | None) -> Self:
        """Build the message from an answer.

        Args:
            task: the name of the task of the input.
            answer: the answer to the input.
            released: the labels of the released bundle; None if it cannot be read.
        """
        return cls(
            text=released.text(task, answer) if released else None,
            label=released.label(task, answer) if released else None,
            code=answer.code,
            values=answer.values,
        )


def answers_of(
    one: StoredInput | HardInput, released: ReleasedLabels | None
) -> dict[str, AnswerMessage | None]:
    """Return the device's and the cloud's answers to an input, by the names of their fields.

    Args:
        one: the input.
        released: the labels of the released bundle; None if it cannot be read.
    """
    device = one.device_answer
    return {
        "device_answer": None if device is None else AnswerMessage.of(one.task, device, released),
        "cloud_answer": AnswerMessage.of(one.task, one.cloud_answer, released),
    }


class HardInputMessage(ViewMessage):
    """An input that was sent to the cloud, without its values."""

    received_at_ms: int
    input_index: int
    shape: tuple[int, ...]
    device_answer: AnswerMessage | None = Field(description="null if no student ran")
    cloud_answer: AnswerMessage
    agrees: bool | None = Field(description=_AGREES)

    @classmethod
    def of(cls, one: HardInput, released: ReleasedLabels | None) -> Self:
        """Build the message from an input; `released` is None if no bundle can be read."""
        return cls.model_validate({**vars(one), **answers_of(one, released)})


class InputMessage(ViewMessage):
    """An input that a device sent to the cloud, without its values."""

    id: int
    device: str
    task: str
    received_at_ms: int
    input_index: int
    audited: bool = Field(
        description="true if it was drawn at random for an audit, false if it was sent because it "
        "was hard"
    )
    shape: tuple[int, ...]
    device_answer: AnswerMessage | None = Field(
        description="what the device would have answered by itself; null if no student ran"
    )
    cloud_answer: AnswerMessage
    agrees: bool | None = Field(description=_AGREES)
    label: Any = Field(description=f"the label that somebody gave; null without one; {_LABEL}")
    labeled_by: str | None = Field(
        description='who gave it: "console", "token NAME" or "user NAME"'
    )
    labeled_at_ms: int | None

    @classmethod
    def of(cls, one: StoredInput, released: ReleasedLabels) -> Self:
        """Build the message from an input, with the names of the released bundle."""
        return cls.model_validate({**vars(one), **answers_of(one, released)})


class InputsMessage(ViewMessage):
    """One page of stored inputs, newest first."""

    inputs: Sequence[InputMessage]
    next: int | None = Field(description="the value of `before` for the next page; null at the end")
