"""Defines the schema of one device."""

from collections.abc import Sequence
from typing import Self

from nestling_cloud.console.api.input_schemas import HardInputMessage
from nestling_cloud.console.api.schemas import TotalsMessage, ViewMessage
from nestling_cloud.inputs.released_labels import ReleasedLabels
from nestling_cloud.metrics.views import AnswerPoint, DeviceRow, DeviceView


class DeviceMessage(ViewMessage):
    """The state of one device, and its figures over a time range."""

    since_ms: int
    until_ms: int
    device: DeviceRow
    totals: TotalsMessage
    answers: tuple[AnswerPoint, ...]
    hard_inputs: Sequence[HardInputMessage]
    copies: int

    @classmethod
    def of(cls, view: DeviceView, released: ReleasedLabels | None) -> Self:
        """Build the message from a view; `released` is None if no bundle can be read."""
        return cls(
            since_ms=view.range.since_ms,
            until_ms=view.range.until_ms,
            device=view.row,
            totals=TotalsMessage.model_validate(view.totals),
            answers=view.answers,
            hard_inputs=[HardInputMessage.of(one, released) for one in view.hard_inputs],
            copies=view.copies,
        )
