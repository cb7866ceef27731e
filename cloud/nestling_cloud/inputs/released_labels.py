"""Checks labels against the bundle that is released, and names classes."""

from dataclasses import dataclass

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.store.label import Label, LabelError, check_label
from nestling_cloud.store.labeled_inputs import StoredInput


@dataclass(frozen=True, kw_only=True)
class ReleasedLabels:
    """What the released bundle says about labels.

    Attributes:
        task: the name of the task.
        signature: the signature of the task.
    """

    task: str
    signature: Signature

    def check(self, one: StoredInput, label: object) -> Label:
        """Return a label that somebody gave to an input.

        Args:
            one: the input.
            label: the JSON value.

        Raises:
            LabelError: the input is of another task, or the label is not one of the task.
        """
        if one.task != self.task:
            raise LabelError(
                f"input {one.id} is of the task {one.task!r}, and the released bundle of "
                f"{self.task!r}: its classes are not known"
            )
        return check_label(label, self.signature)

    def name(self, answer: int | None) -> str | None:
        """Return the class of an answer, or None if there is no answer or no such class."""
        classes = self.signature.classes
        return classes[answer] if answer is not None and 0 <= answer < len(classes) else None
