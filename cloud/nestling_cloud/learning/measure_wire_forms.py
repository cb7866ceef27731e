"""Measures the forms in which inputs can be sent to the cloud, on calibration inputs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import WireForm
from nestling_cloud.cloud_model.check import run_in_batches
from nestling_cloud.cloud_model.model import MAX_BATCH, CloudModel
from nestling_cloud.tasks.examples import Examples
from nestling_cloud.tasks.inputs import batches_of
from nestling_core.belief.evidence import softmax
from nestling_core.kinds.kind import Kind
from nestling_core.kinds.labels import SingleLabel
from nestling_core.wire import forms
from nestling_core.wire.errors import WireError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

# Enough to measure a tenth of a point; more would only take longer.
_MOST_INPUTS, _MOST_BYTES = 4000, 1 << 28
# Part of the absolute values that the calibrated range of signed integers covers. An input with
# larger values gets larger scales.
_COVERED = 0.9995
_SMALLEST_SCALE = 1e-30
# Inputs that are encoded at a time.
_BATCH = 8 * MAX_BATCH
# Difference between two neighboring samples in a file of 16 bits, whose samples are from -1 to 1.
_SAMPLE = 2.0**-15


def measure_wire_forms(model: CloudModel, calibration: Examples, kind: Kind) -> list[WireForm]:
    """Return every form that suits the inputs, with its size and its effect on the answers.

    The loss of a form is the drop in the mean probability of the true class, or, if the task is not
    a single-label task, the drop in the share of right answers. The probability needs fewer inputs
    for the same certainty, because rounding changes only a few answers, some of them for the better
    by chance.

    Args:
        model: the teacher as the cloud serves it.
        calibration: inputs that the teacher did not learn from. If there are more than 4,000, or if
            they take more than 256 MiB, only an evenly spaced sample is used.
        kind: the kind of the task.

    Returns:
        The forms, of which the first is "fp32". Forms that cannot represent an input are missing.

    Raises:
        ModelError: the teacher fails, or its answer to an input is not finite.
    """
    most = max(1, min(_MOST_INPUTS, _MOST_BYTES // calibration.inputs[:1].nbytes))
    step = -(-len(calibration) // most)
    inputs, labels = calibration.inputs[::step], calibration.labels[::step]
    plain = run_in_batches(model, inputs)
    answers = kind.answers(plain)
    found = []
    for name in forms.candidates(inputs.shape[1:]):
        form = calibrated_form(name, inputs)
        try:
            sent = [_sent(model, form, part) for part in batches_of(inputs, _BATCH)]
        except WireError:
            continue
        made = np.concatenate([outputs for outputs, _ in sent])
        changed = kind.answers(made)
        form.payload_bytes = float(np.mean([size for _, sizes in sent for size in sizes]))
        form.accuracy = float(kind.success(changed, labels).mean())
        form.changed = float(1 - kind.success(changed, answers).mean())
        form.lost = _certainty(kind, plain, labels) - _certainty(kind, made, labels)
        found.append(form)
    return found


def _sent(model: CloudModel, form: WireForm, inputs: Floats) -> tuple[Floats, list[int]]:
    """Return the model's outputs for inputs that are sent in a form, and their sizes in bytes."""
    payloads = [forms.encode(form, window) for window in inputs]
    wire = forms.wire_name(form.name)
    decoded = [forms.decode(wire, payload, inputs.shape[1:]) for payload in payloads]
    return run_in_batches(model, np.stack(decoded)), [len(payload) for payload in payloads]


def _certainty(kind: Kind, outputs: Floats, labels: NDArray[np.generic]) -> float:
    """Return the mean probability of the true classes, or the share of right answers."""
    if isinstance(kind, SingleLabel):
        return float(softmax(outputs)[np.arange(len(labels)), labels].mean())
    return float(kind.success(kind.answers(outputs), labels).mean())


def calibrated_form(name: str, inputs: Floats) -> WireForm:
    """Return a form whose scales fit the range of the given inputs.

    If all inputs are 16-bit samples, the scale of "int16" is the difference between two neighboring
    sample values, 2^-15. With a scale fitted to their range, the samples would be rounded, and
    would deflate to more bytes.

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
    if integers.bits == 16 and not (channels % np.float32(_SAMPLE)).any():
        return WireForm(name=name, scales=[_SAMPLE] * len(channels))
    ranges = np.quantile(np.abs(channels), _COVERED, axis=1)
    return WireForm(name=name, scales=_scales(ranges / integers.steps))


def _scales(widths: Sequence[float] | Doubles) -> list[float]:
    """Return scales above 0, also for a channel that never changes."""
    found: list[float] = np.maximum(np.asarray(widths, np.float64), _SMALLEST_SCALE).tolist()
    return found
