"""Shows the inputs that a device sent to the cloud, with the device's and the cloud's answers."""

from collections.abc import Sequence

from nicegui import ui

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.console.charts.input_pictures import input_picture
from nestling_cloud.console.data.released_bundle import Models, answer_numbers
from nestling_cloud.console.data.units import age, time_utc
from nestling_cloud.console.pages.markup import Text, block
from nestling_cloud.store.hard_inputs import HardInput
from nestling_core.kinds.kind import Answer

_SHOWN = 12


class HardInputsPanel:
    """Shows the newest hard inputs (those sent to the cloud) as pictures.

    Args:
        models: the released bundle, which names channels, classes and values; None if no
            bundle can be read.
    """

    def __init__(self, models: Models | None) -> None:
        self._models = models
        self._shown: tuple[HardInput, ...] = ()
        with block("section", "panel spaced", aria_label="Hard inputs", data_panel="hard-inputs"):
            Text("h2", "Hard inputs")
            self._note = Text("p", "", "note")
            self._inputs = block("div", "inputs")

    def show(self, inputs: Sequence[HardInput], now_ms: int) -> None:
        """Show the newest of the given inputs.

        Args:
            inputs: the inputs, newest first.
            now_ms: the Unix time now.
        """
        allowed = self._models is None or self._models.overview["keep_inputs"] != "none"
        self._note.show(_note(inputs, now_ms, allowed=allowed))
        newest = tuple(inputs[:_SHOWN])
        if newest == self._shown:
            return
        self._shown = newest
        self._inputs.clear()
        with self._inputs:
            for one in newest:
                self._add(one)

    def _add(self, one: HardInput) -> None:
        device = "not run" if one.device_answer is None else self._text(one, one.device_answer)
        cloud = self._text(one, one.cloud_answer)
        signature = self._models.signature if self._models else Signature()
        differs = one.agrees is False
        with block("article", "input", aria_label=f"input {one.input_index}"):
            with block("div", "verdict"):
                Text("span", f"device: {device}", "differs" if differs else "")
                Text("span", f"cloud: {cloud}")
            ui.html(input_picture(one, signature), sanitize=False)  # drawn by us, texts escaped
            Text("p", f"input {one.input_index}, {time_utc(one.received_at_ms)} UTC", "note")

    def _text(self, one: HardInput, answer: Answer) -> str:
        if self._models is None:
            return answer_numbers(answer)
        return self._models.answer_text(answer, one.task)


def _note(inputs: Sequence[HardInput], now_ms: int, *, allowed: bool) -> str:
    if not inputs and not allowed:
        return "The task does not allow the cloud to store inputs (keep_inputs)."
    if not inputs:
        return "None yet: an input appears here when the device sends it to the cloud."
    last = age(inputs[0].received_at_ms, now_ms)
    if inputs[0].audited:
        return f"Drawn at random to learn how often the cloud agrees. Last input: {last}."
    return f"Sent to the cloud because the cloud was expected to answer better. Last input: {last}."
