"""Checks labels against the bundle that is released, and shows answers as its task does."""

from dataclasses import dataclass
from typing import Self

from nestling.v1.bundle_pb2 import Manifest, Signature
from nestling_cloud.store.label import Label, LabelError, check_label, label_of
from nestling_cloud.store.labeled_inputs import StoredInput
from nestling_core.kinds.kind import Answer, Kind, KindError
from nestling_core.kinds.of_signature import kind_of


@dataclass(frozen=True, kw_only=True)
class ReleasedLabels:
    """What the released bundle says about labels and answers.

    Attributes:
        task: the name of the task.
        signature: the signature of the task.
    """

    task: str
    signature: Signature

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Return what a bundle says about labels and answers."""
        return cls(task=manifest.task, signature=manifest.signature)

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
                f"input {one.id} belongs to the task {one.task!r}, but the released bundle is for "
                f"{self.task!r}; release a bundle of {one.task!r} to label it"
            )
        return check_label(label, self.signature)

    def text(self, task: str, answer: Answer | None) -> str | None:
        """Return an answer as a text for people.

        Args:
            task: the name of the task of the input.
            answer: the answer to the input.

        Returns:
            The text, or None if there is no answer, or none that the released task has.
        """
        kind = self._kind_for(task, answer)
        return None if kind is None or answer is None else kind.text(answer)

    def label(self, task: str, answer: Answer | None) -> Label | None:
        """Return an answer in the form of a label; None as for `text`."""
        if answer is None or self._kind_for(task, answer) is None:
            return None
        return label_of(answer, self.signature)

    def _kind_for(self, task: str, answer: Answer | None) -> Kind | None:
        try:
            kind = kind_of(self.signature)
        except KindError:
            return None
        fits = task == self.task and answer is not None and kind.is_valid(answer)
        return kind if fits else None
