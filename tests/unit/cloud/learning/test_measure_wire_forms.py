"""Wire forms are measured on calibration inputs with the teacher that will be served."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.learning.measure_wire_forms import calibrated_form, measure_wire_forms
from nestling_cloud.tasks.examples import Examples
from nestling_core.kinds.labels import SINGLE_LABEL
from nestling_core.wire import forms
from nestling_core.wire.choice import is_sound

Floats = NDArray[np.float32]
SHAPE = (2, 3)


def drawn(count: int, *, seed: int = 0, spread: float = 1.0) -> Floats:
    rng = np.random.default_rng(seed)
    return (spread * rng.normal(size=(count, *SHAPE))).astype(np.float32)


def examples(inputs: Floats, weights: Floats) -> Examples:
    """Return inputs with the labels that the tiny teacher gives them."""
    labels = (inputs.reshape(len(inputs), -1) @ weights).argmax(axis=1)
    return Examples(inputs=inputs, labels=labels.astype(np.int64))


@pytest.fixture
def model(tiny_teacher: bytes) -> CloudModel:
    return CloudModel("tiny-teacher", tiny_teacher)


def test_every_form_is_measured_with_its_size_and_what_it_changes(
    model: CloudModel, tiny_weights: Floats
) -> None:
    found = measure_wire_forms(model, examples(drawn(600), tiny_weights), SINGLE_LABEL)

    assert [form.name for form in found] == forms.candidates(SHAPE)
    assert all(is_sound(form, SHAPE) for form in found)
    by_name = {form.name: form for form in found}
    plain, coarse = by_name["fp32"], by_name["int6"]
    assert (plain.payload_bytes, plain.accuracy, plain.changed) == (24, 1, 0)
    assert by_name["fp16"].payload_bytes == 12
    assert 8 < by_name["int8"].payload_bytes < 24
    # Here, the labels are the teacher's answers, so that every change is a mistake.
    assert 0 < by_name["int8"].changed < coarse.changed < 0.2
    assert coarse.accuracy == pytest.approx(1 - coarse.changed)
    assert plain.lost == 0
    assert abs(by_name["int8"].lost) < abs(coarse.lost) < 0.01


def test_form_that_blurs_the_inputs_loses_probability(
    model: CloudModel, tiny_weights: Floats
) -> None:
    inputs = drawn(600)
    # The range of the calibration is set by inputs that are a hundred times as large.
    inputs[::2] *= 100

    measured = measure_wire_forms(model, examples(inputs, tiny_weights), SINGLE_LABEL)
    found = {form.name: form for form in measured}

    assert found["int16"].lost < 0.001
    assert found["int6"].lost > 0.05
    assert found["int6"].changed > 0.05


def test_form_that_cannot_represent_an_input_is_missing(
    model: CloudModel, tiny_weights: Floats
) -> None:
    found = measure_wire_forms(model, examples(drawn(50, spread=1e5), tiny_weights), SINGLE_LABEL)

    assert [form.name for form in found] == ["fp32", "int16", "int8", "int6"]


def test_large_calibration_data_is_measured_in_part(
    model: CloudModel, tiny_weights: Floats
) -> None:
    inputs = drawn(9000)
    inputs[1::3] *= 1e6  # beyond float16
    inputs[2::3] *= 1e6

    found = measure_wire_forms(model, examples(inputs, tiny_weights), SINGLE_LABEL)

    assert "fp16" in [form.name for form in found]


def test_scales_cover_nearly_all_values_of_each_channel() -> None:
    inputs = drawn(4000)
    inputs[:, 1] *= 100
    inputs[0, 0, 0] = 1e6  # an outlier

    scales = calibrated_form("int8", inputs).scales

    assert scales[0] * 127 == pytest.approx(3.5, rel=0.1)
    assert scales[1] / scales[0] == pytest.approx(100, rel=0.1)


@pytest.mark.parametrize("name", ["int8", "uint8"])
def test_channel_that_never_changes_has_a_usable_scale(name: str) -> None:
    inputs = drawn(10)
    inputs[:, 1] = 0.0

    form = calibrated_form(name, inputs)

    decoded = forms.decode(name, forms.encode(form, inputs[0]), SHAPE)
    assert all(scale > 0 for scale in form.scales)
    assert decoded[1].tolist() == [0, 0, 0]


def test_whole_range_of_eight_bit_pictures_is_kept_exactly() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8))
    levels[0].flat[:2] = (0, 255)
    normalized = ((levels / 255 - 0.45) / 0.22).astype(np.float32)

    for name in ("uint8", "jpeg-90"):
        form = calibrated_form(name, normalized)
        assert form.scales[0] == pytest.approx(1 / 255 / 0.22, rel=1e-2)
        assert form.offsets[0] == pytest.approx(-0.45 / 0.22, rel=1e-2)
    form = calibrated_form("uint8", normalized)
    for window in normalized:
        decoded = forms.decode("uint8", forms.encode(form, window), window.shape)
        assert decoded == pytest.approx(window, abs=0.02)
