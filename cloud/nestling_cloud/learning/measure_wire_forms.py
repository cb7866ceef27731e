"""Measures the forms in which inputs can be sent to the cloud, on calibration inputs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import WireForm
from nestling_cloud.cloud_model.check import run_in_batches
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.tasks.examples import Examples
from nestling_core.wire import forms
from nestling_core.wire.errors import WireError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

# Enough to measure a tenth of a point; more would only take longer.
_MOST_INPUTS = 4000
# Part of the absolute values that the calibrated range of signed integers covers. An input with
# larger values gets larger scales.
_COVERED = 0.9995
_SMALLEST_SCALE = 1e-30
_VARIATIONS = (0.96, 0.98, 1.02, 1.04)


def measure_wire_forms(model: CloudModel, calibration: Examples) -> list[WireForm]:
    """Return every form that suits the inputs, with its size and the accuracy that it leaves.

    By rounding, a few answers near the border of two classes change, for better or worse by chance.
    Signed integers are therefore measured with five slightly different scales.

    Args:
        model: the teacher as the cloud serves it.
        calibration: inputs that the teacher did not learn from. If there are more than 4,000, about
            as many at equal distances are used.

    Returns:
        The forms, of which the first is "fp32". Forms that cannot represent an input are missing.

    Raises:
        ModelError: the teacher has no finite answer to an input.
    """
    step = -(-len(calibration) // _MOST_INPUTS)
    inputs, labels = calibration.inputs[::step], calibration.labels[::step]
    expected = run_in_batches(model, inputs).argmax(axis=1)
    found = []
    for name in forms.candidates(inputs.shape[1:]):
        form = calibrated_form(name, inputs)
        try:
            payloads, answers = _sent(model, form, inputs)
        except WireError:
            continue
        varied = [answers, *(_sent(model, one, inputs)[1] for one in _variations(form))]
        form.payload_bytes = float(np.mean([len(payload) for payload in payloads]))
        form.accuracy = float(np.mean([one == labels for one in varied]))
        form.changed = float(np.mean([one != expected for one in varied]))
        found.append(form)
    return found


def _sent(
    model: CloudModel, form: WireForm, inputs: Floats
) -> tuple[list[bytes], NDArray[np.intp]]:
    """Return the payloads of inputs, and the classes that the cloud answers to them."""
    payloads = [forms.encode(form, window) for window in inputs]
    name = forms.wire_name(form.name)
    decoded = [forms.decode(name, payload, inputs.shape[1:]) for payload in payloads]
    return payloads, run_in_batches(model, np.stack(decoded)).argmax(axis=1)


def _variations(form: WireForm) -> list[WireForm]:
    """Return signed integers with other scales; other forms have no variations."""
    integers = forms.INTEGERS.get(form.name)
    if integers is None or integers.has_offset:
        return []
    scales = np.array(form.scales)
    return [WireForm(name=form.name, scales=scales * factor) for factor in _VARIATIONS]


def calibrated_form(name: str, inputs: Floats) -> WireForm:
    """Return a form with scales for the range of some inputs.

    Args:
        name: the form's name.
        inputs: the inputs, (N, *shape).
    """
    kind = forms.wire_name(name)
    channels = inputs.transpose(1, 0, *range(2, inputs.ndim)).reshape(inputs.shape[1], -1)
    if kind in forms.PICTURES:
        low, high = float(inputs.min()), float(inputs.max())
        return WireForm(name=name, scales=_scales([(high - low) / 255]), offsets=[low])
    if kind not in forms.INTEGERS:
        return WireForm(name=name)
    integers = forms.INTEGERS[kind]
    if integers.has_offset:
        low, high = channels.min(axis=1), channels.max(axis=1)
        widths = (high.astype(np.float64) - low) / integers.steps
        return WireForm(name=name, scales=_scales(widths), offsets=low.tolist())
    ranges = np.quantile(np.abs(channels), _COVERED, axis=1)
    return WireForm(name=name, scales=_scales(ranges / integers.steps))


def _scales(widths: Sequence[float] | Doubles) -> list[float]:
    """Return scales above 0, also for a channel that never changes."""
    found: list[float] = np.maximum(np.asarray(widths, np.float64), _SMALLEST_SCALE).tolist()
    return found
