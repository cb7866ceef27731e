"""Defines the schemas of stored inputs and their labels."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import Field

from nestling_cloud.console.api.schemas import StrictMessage, ViewMessage
from nestling_cloud.inputs.released_labels import ReleasedLabels
from nestling_cloud.store.labeled_inputs import StoredInput


class LabelMessage(StrictMessage):
    """A label for an input: in a single-label task the name of a class."""

    label: Any = Field(description="the name of a class", examples=["Trouser"])


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
    device_answer: str | None = Field(
        description="the class that the device would have answered by itself; null if no student "
        "ran, or if the released bundle does not have the class"
    )
    cloud_answer: str | None = Field(description="the class that the cloud answered")
    label: Any = Field(description="the label that somebody gave; null without one")
    labeled_by: str | None = Field(description='who gave it: "console", or "token NAME"')
    labeled_at_ms: int | None

    @classmethod
    def of(cls, one: StoredInput, released: ReleasedLabels) -> Self:
        """Build the message from an input, with the names of the released bundle's classes."""
        known = one.task == released.task
        return cls(
            **{
                **vars(one),
                "device_answer": released.name(one.device_answer) if known else None,
                "cloud_answer": released.name(one.cloud_answer) if known else None,
            }
        )


class InputsMessage(ViewMessage):
    """One page of stored inputs, newest first."""

    inputs: Sequence[InputMessage]
    next: int | None = Field(description="the value of `before` for the next page; null at the end")
