import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from nestling_cloud.learning.quantization import QuantizedConv, quantize
from nestling_cloud.learning.quantization.activation_ranges import activation_range
from nestling_cloud.learning.quantization.grid import round_weight
from nestling_cloud.learning.quantization.weight_scales import TensorGrid, weight_scales
from nestling_cloud.tasks import Signature
from nestling_core.student.config import conv_student
from nestling_core.student.network import NestedStudent

Floats = NDArray[np.float32]

SIGNATURE = Signature(shape=[2, 16], classes=["a", "b", "c"])
CONFIG = conv_student(channels=(6, 8), strides=(2, 1), fractions=(0.25, 0.5, 1.0))

# Weights that training can produce: zero, or of a size that a float32 holds with full precision.
WEIGHT = st.one_of(
    st.just(0.0),
    st.floats(2.0**-20, 2.0**20, width=32),
    st.floats(-(2.0**20), -(2.0**-20), width=32),
)


def quantize_weight(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    scale = weight_scales(weight, TensorGrid(rows=1, uses=np.ones_like(weight)), "peak")
    return round_weight(weight, scale), scale


def weights() -> st.SearchStrategy[Floats]:
    shapes = hnp.array_shapes(min_dims=2, max_dims=4, max_side=5)
    return hnp.arrays(np.float32, shapes, elements=WEIGHT)


@given(weights())
def test_rounded_weight_is_off_by_at_most_half_a_step(weight: Floats) -> None:
    integers, scale = quantize_weight(weight)

    spread = scale.reshape(-1, *(1,) * (weight.ndim - 1)).astype(np.float64)
    assert integers.dtype == np.int8
    assert integers.shape == weight.shape
    assert scale.shape == (len(weight),)
    assert (np.abs(integers * spread - weight) <= spread * 0.5001).all()


@given(weights())
def test_grid_is_symmetric_and_uses_its_full_width_in_every_channel(weight: Floats) -> None:
    integers, _ = quantize_weight(weight)

    peaks = np.abs(integers.astype(int)).reshape(len(weight), -1).max(axis=1)
    silent = ~weight.reshape(len(weight), -1).any(axis=1)
    assert (peaks == np.where(silent, 0, 127)).all()


@given(weights())
def test_quantizing_again_changes_nothing(weight: Floats) -> None:
    integers, scale = quantize_weight(weight)
    spread = scale.reshape(-1, *(1,) * (weight.ndim - 1))

    again, _ = quantize_weight(integers * spread)

    assert (integers == again).all()


@given(hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(-1e4, 1e4, width=32)))
def test_activation_grid_has_zero_on_it_and_covers_the_values(values: Floats) -> None:
    grid = activation_range(values)

    assert grid.scale > 0
    assert 0 <= grid.zero_point <= 255
    low, high = -grid.zero_point * grid.scale, (255 - grid.zero_point) * grid.scale
    # The zero point is rounded, and with 300 values the quantile clips up to 3 % of the range.
    slack = grid.scale + 0.03 * (float(values.max()) - float(values.min()))
    assert low - slack <= values.min()
    assert values.max() <= high + slack


def test_activation_grid_clips_the_outermost_of_many_values() -> None:
    values = np.ones(100_000, np.float32)
    values[:5] = 1e6

    assert activation_range(values).scale == pytest.approx(1 / 255)


def test_activations_that_are_always_zero_have_a_grid() -> None:
    grid = activation_range(np.zeros(10, np.float32))

    assert (grid.scale, grid.zero_point) == (1.0, 0)


@pytest.fixture(scope="module")
def inputs() -> Floats:
    return np.random.default_rng(0).normal(2, 3, (300, 2, 16)).astype(np.float32)


def test_quantized_student_has_the_weights_that_the_integers_represent(inputs: Floats) -> None:
    student = NestedStudent(SIGNATURE, CONFIG)
    before = [weight.detach().clone() for weight in student.nested_weights().values()]

    quantized = quantize(student, inputs)

    for old, weight, integers in zip(
        before, student.nested_weights().values(), quantized.tensors.values(), strict=True
    ):
        _, scale = quantize_weight(old.numpy())
        spread = scale.reshape(-1, *(1,) * (old.ndim - 1))
        assert np.array_equal(weight.detach().numpy(), integers * spread)


def test_each_capacity_has_scales_and_biases_for_its_own_width(inputs: Floats) -> None:
    quantized = quantize(NestedStudent(SIGNATURE, CONFIG), inputs)

    for number, capacity in enumerate(quantized.capacities, start=1):
        layers = [layer for layer in capacity.layers if isinstance(layer, QuantizedConv)]
        widths = [len(layer.weight_scale) for layer in layers]
        assert widths == list(CONFIG.widths_at(number))
        assert widths == [len(layer.bias) for layer in layers]
        assert all((layer.weight_scale > 0).all() for layer in layers)
        assert len(capacity.head_scale) == len(capacity.head_bias) == 3


@torch.no_grad()
def test_folded_scale_and_bias_compute_what_the_rounded_student_does(inputs: Floats) -> None:
    student = NestedStudent(SIGNATURE, CONFIG)
    student.normalizer.fit(inputs)
    for capacity in (1, 2, 3):
        for parameter in [p for norm in student.norms(capacity) for p in norm.parameters()]:
            parameter.copy_(0.3 * torch.randn_like(parameter))

    quantized = quantize(student, inputs)

    x = student.normalizer(torch.from_numpy(inputs))
    for capacity in (1, 2, 3):
        layer = quantized.capacities[capacity - 1].layers[0]
        assert isinstance(layer, QuantizedConv)
        box = quantized.tensors["layer0.weight"][: len(layer.bias)]
        folded = torch.from_numpy(box * layer.weight_scale[:, None, None])
        found = torch.conv1d(x, folded, torch.from_numpy(layer.bias), 2, 1).relu()
        expected = student.features(torch.from_numpy(inputs), capacity)[0]
        assert torch.allclose(found, expected, atol=1e-4)
