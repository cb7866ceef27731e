"""The choices of quantization: ranges, scales, bias correction and equalization."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from nestling_cloud.learning.quantization import ActivationRange, equalize, quantize
from nestling_cloud.learning.quantization.activation_ranges import activation_range
from nestling_cloud.learning.quantization.bias_correction import _observed, correct_biases
from nestling_cloud.learning.quantization.fake_quantization import (
    activations_rounded,
    fake_round,
    on_grids,
)
from nestling_cloud.learning.quantization.grid import grid_between, round_weight, spread
from nestling_cloud.learning.quantization.weight_scales import (
    TensorGrid,
    tensor_grids,
    weight_scales,
)
from nestling_cloud.recipes.quantization import Quantization, QuantizationError
from nestling_core.student.layers import ConvLayer, RecurrentLayer
from nestling_core.student.network import NestedStudent
from tests.support.families import CAPACITIES, FAMILIES, make_family

Floats = NDArray[np.float32]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ranges": "widest"}, "'widest': choose one of"),
        ({"weights": "median"}, "'median': choose one of"),
        ({"aware_epochs": -1}, r"choose 0 \(no fine-tuning\)"),
    ],
)
def test_unknown_quantization_choice_is_refused(fields: dict[str, str], words: str) -> None:
    with pytest.raises(QuantizationError, match=words):
        Quantization(**fields)  # type: ignore[arg-type]  # the test passes wrong types on purpose


def error(values: Floats, grid: ActivationRange) -> float:
    found = fake_round(torch.from_numpy(values), grid).numpy()
    return float(np.square(found - values).mean())


@given(hnp.arrays(np.float32, st.integers(2, 200), elements=st.floats(-1e3, 1e3, width=32)))
def test_range_by_squared_error_is_never_worse_than_the_full_range(values: Floats) -> None:
    whole = grid_between(float(values.min()), float(values.max()))

    assert error(values, activation_range(values, "mse")) <= error(values, whole) * 1.001 + 1e-9


def test_range_by_squared_error_clips_a_far_outlier() -> None:
    values = np.random.default_rng(0).normal(size=200_000).astype(np.float32)
    values[0] = 40

    assert 10 < activation_range(values, "mse").high < 36


def test_range_by_entropy_clips_a_thin_tail_and_covers_an_even_distribution() -> None:
    rng = np.random.default_rng(0)
    even = rng.uniform(0, 1, 100_000).astype(np.float32)
    tailed = np.concatenate([even, np.linspace(1, 10, 20, dtype=np.float32)])

    assert activation_range(even, "entropy").high == pytest.approx(1, abs=0.01)
    assert activation_range(tailed, "entropy").high < 3


@pytest.mark.parametrize("method", ["percentile", "mse", "entropy"])
def test_activations_that_are_always_zero_have_a_grid(method: str) -> None:
    grid = activation_range(np.zeros(10, np.float32), Quantization(ranges=method).ranges)  # type: ignore[arg-type]

    assert (grid.scale, grid.zero_point) == (1.0, 0)


def weight_error(weight: Floats, scale: Floats, uses: Floats) -> Floats:
    off = round_weight(weight, scale) * spread(scale, weight.ndim) - weight
    found: Floats = (uses * off**2).sum(axis=1)
    return found


def test_scale_by_squared_error_is_better_in_every_row_and_clips_an_outlier() -> None:
    weight = np.random.default_rng(0).normal(size=(3, 50_000)).astype(np.float32)
    weight[:, 0] = 40
    grid = TensorGrid(rows=1, uses=np.ones_like(weight))

    peak, mse = (weight_scales(weight, grid, method) for method in ("peak", "mse"))

    assert (mse < peak).all()
    assert (weight_error(weight, mse, grid.uses) < weight_error(weight, peak, grid.uses)).all()


def test_scale_counts_each_weight_once_per_capacity_that_uses_it() -> None:
    weight = np.random.default_rng(0).normal(size=(1, 50_000)).astype(np.float32)
    weight[:, -1] = 40
    seldom = np.ones_like(weight)
    often = np.where(weight == 40, np.float32(100), seldom)

    scales = [weight_scales(weight, TensorGrid(rows=1, uses=u), "mse") for u in (seldom, often)]

    assert scales[0] < scales[1]


def test_uses_count_the_capacities_whose_prefix_has_a_weight() -> None:
    student = make_family("conv-window").student

    uses = tensor_grids(student)["head.weight"].uses

    assert uses.tolist() == [[3] * 3 + [2] * 3 + [1] * 6] * 3


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_equalization_changes_no_answer_of_any_capacity(name: str) -> None:
    family = make_family(name)
    before = [family.student(family.tensor, k) for k in CAPACITIES]
    weights = [weight.clone() for weight in family.student.nested_weights().values()]

    equalize(family.student)

    for capacity, expected in zip(CAPACITIES, before, strict=True):
        assert torch.allclose(family.student(family.tensor, capacity), expected, atol=1e-5)
    after = family.student.nested_weights().values()
    assert not all(torch.equal(a, b) for a, b in zip(weights, after, strict=True))


def unevenness(student: NestedStudent, inputs: torch.Tensor) -> float:
    """Return the ratio of the largest to the smallest channel maximum of the first layer."""
    maxima = student.features(inputs, CAPACITIES[-1])[0].transpose(0, 1).flatten(1).amax(1)
    return float(maxima.max() / maxima.min())


@pytest.mark.parametrize("name", ["conv-window", "separable-picture", "shuffle-window", "gru"])
@torch.no_grad()
def test_equalization_evens_out_the_channel_maxima(name: str) -> None:
    family = make_family(name)
    first = family.student.stack[0]
    assert isinstance(first, ConvLayer)
    for capacity in CAPACITIES:  # scale one channel by ten
        norm = first.norm(capacity)
        norm.log_gain[0] += np.log(10)
        norm.offset[0] *= 10
    before = unevenness(family.student, family.tensor)

    equalize(family.student)

    assert unevenness(family.student, family.tensor) < 0.6 * before


def mean_sums(student: NestedStudent, inputs: torch.Tensor, capacity: int) -> list[torch.Tensor]:
    """Return the mean inputs of ReLUs and, from the layer input, of gates; then the mean logits."""
    with _observed(student) as means:
        logits = student(inputs, capacity)
    for index, layer in enumerate(student.stack):
        if isinstance(layer, RecurrentLayer):
            weight, _, bias, _ = layer.folded(capacity)
            means[index] = weight @ means[index] + bias
    return [*means.values(), logits.mean(0)]


@pytest.mark.parametrize("name", ["conv-window", "separable-window", "gru", "lstm"])
@torch.no_grad()
def test_correction_restores_the_means_of_layers_and_logits(name: str) -> None:
    family = make_family(name)
    student, inputs = family.student, family.tensor
    reference = copy.deepcopy(student)
    coarse = [grid_between(-64.0, 64.0)]  # steps of half a unit
    grids = [coarse * (len(student.stack) + 2)] * len(CAPACITIES)

    correct_biases(student, reference, grids, inputs)

    for capacity in CAPACITIES:
        exact = mean_sums(reference, inputs, capacity)
        with activations_rounded(student, on_grids(grids)):
            corrected = mean_sums(student, inputs, capacity)
        with activations_rounded(reference, on_grids(grids)):
            shifted = mean_sums(reference, inputs, capacity)
        for expected, found, before in zip(exact, corrected, shifted, strict=True):
            assert torch.allclose(found, expected, atol=1e-4)
            assert not torch.allclose(before, expected, atol=1e-4)


def test_equalising_what_was_tuned_to_its_grid_is_refused() -> None:
    with pytest.raises(QuantizationError, match="use only one of the two"):
        Quantization(equalize=True, aware_epochs=1)


@pytest.mark.parametrize("name", ["conv-picture", "shuffle-window", "gru"])
def test_choices_change_values_but_not_tensor_shapes(name: str) -> None:
    family = make_family(name)
    everything = Quantization(ranges="mse", weights="mse", bias_correction=True, equalize=True)

    plain = quantize(copy.deepcopy(family.student), family.inputs)
    chosen = quantize(family.student, family.inputs, everything)

    shapes = {tensor: array.shape for tensor, array in plain.tensors.items()}
    assert shapes == {tensor: array.shape for tensor, array in chosen.tensors.items()}
    assert not all(np.array_equal(plain.tensors[t], chosen.tensors[t]) for t in shapes)
