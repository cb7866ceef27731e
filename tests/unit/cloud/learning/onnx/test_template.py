"""Compare templates with the torch student that they were built from, in every family.

The student has the rounded weights, and its activations are rounded on the same grids. The
remaining difference is one step of a grid, where a sum lies between two steps. It may move a logit
by 3 % of the range of all logits.
"""

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import NestedTensor, Signature
from nestling_cloud.bundles.export import export_capacity
from nestling_cloud.learning.onnx.template import build_template
from nestling_cloud.learning.quantization import ActivationRange, QuantizedStudent, quantize
from nestling_cloud.learning.quantization.fake_quantization import activations_rounded, on_grids
from nestling_core.execution.session import open_session
from nestling_core.nest.bundle_files import Activations, weights_file
from nestling_core.nest.layout import assemble, ring_bytes
from nestling_core.student.blocks import Conv, Depthwise, Shuffle
from nestling_core.student.config import conv_student
from nestling_core.student.network import NestedStudent
from nestling_core.student.plan import layout
from nestling_core.student.sandwich import recalibrate
from tests.support.families import CAPACITIES, FAMILIES, Family, make_family
from tests.support.foreign_client import open_exported

TOLERANCE = 0.03


@dataclass(frozen=True, kw_only=True)
class Nest:
    """A student, its int8 nest, the templates of its capacities, and all rings."""

    family: Family
    quantized: QuantizedStudent
    layout: list[NestedTensor]
    templates: list[bytes]
    rings: list[bytes]

    @property
    def inputs(self) -> NDArray[np.float32]:
        return self.family.inputs

    def tensors(self, capacity: int) -> dict[str, NDArray[np.int8]]:
        return assemble(self.layout, self.rings[:capacity])

    def count(self, *kinds: type) -> int:
        return sum(isinstance(plan.block, kinds) for plan in self.quantized.plans)


@pytest.fixture(scope="module", params=FAMILIES)
def nest(request: pytest.FixtureRequest) -> Nest:
    family = make_family(request.param)
    quantized = quantize(family.student, family.inputs)
    tensors = layout(family.signature, family.student.config)
    return Nest(
        family=family,
        quantized=quantized,
        layout=tensors,
        templates=[build_template(quantized, family.signature, tensors, k) for k in CAPACITIES],
        rings=[ring_bytes(tensors, quantized.tensors, k) for k in CAPACITIES],
    )


def grids(quantized: QuantizedStudent) -> list[list[ActivationRange]]:
    """Return grids by capacity and point; a shuffle gets a grid that is not used."""
    found = []
    for entry in quantized.capacities:
        layers = [layer.output if layer else entry.input for layer in entry.layers]
        found.append([entry.input, *layers, entry.pooled])
    return found


@pytest.mark.parametrize("capacity", CAPACITIES)
@torch.no_grad()
def test_template_with_weights_from_the_rings_answers_like_the_student(
    nest: Nest, capacity: int
) -> None:
    with activations_rounded(nest.family.student, on_grids(grids(nest.quantized))):
        expected = nest.family.student(nest.family.tensor, capacity).numpy()

    session = open_session(nest.templates[capacity - 1], nest.tensors(capacity))
    found = session.run(["logits"], {"input": nest.inputs})[0]

    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= TOLERANCE * np.ptp(expected)


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_signed_activations_give_the_same_logits_bit_for_bit(nest: Nest, capacity: int) -> None:
    signed = build_template(
        nest.quantized, nest.family.signature, nest.layout, capacity, activations="int8"
    )
    given = {"input": nest.inputs}

    found = open_session(signed, nest.tensors(capacity)).run(None, given)[0]

    unsigned = open_session(nest.templates[capacity - 1], nest.tensors(capacity))
    assert np.array_equal(unsigned.run(None, given)[0], found)
    values = onnx.ModelProto.FromString(signed).graph.initializer
    assert {v.data_type for v in values if v.name.endswith(".zero")} == {onnx.TensorProto.INT8}


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_onnxruntime_convolves_in_integers_and_arranges_weights_once(
    nest: Nest, activations: Activations, tmp_path: Path
) -> None:
    template = build_template(
        nest.quantized, nest.family.signature, nest.layout, 3, activations=activations
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # hides the warning that the file suits only this processor
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    path = export_capacity(tmp_path, template, nest.tensors(3), 3)
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    kinds = Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)

    assert kinds["QLinearConv"] == nest.count(Conv, Depthwise)
    assert kinds["Conv"] == kinds["FusedConv"] == kinds["Gather"] == 0
    assert kinds["Reshape"] == 2 * nest.count(Shuffle)  # those of weights would be extra


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_exported_pair_of_files_passes_the_checker_and_plain_onnxruntime(
    nest: Nest, capacity: int, tmp_path: Path
) -> None:
    path = export_capacity(tmp_path, nest.templates[capacity - 1], nest.tensors(capacity), capacity)

    onnx.checker.check_model(str(path), full_check=True)
    ours = open_session(nest.templates[capacity - 1], nest.tensors(capacity))
    given = {"input": nest.inputs}
    assert np.array_equal(open_exported(path).run(None, given)[0], ours.run(None, given)[0])
    assert {path.name, weights_file(capacity)} == {file.name for file in tmp_path.iterdir()}


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(
    shape=st.one_of(
        st.tuples(st.integers(1, 3), st.integers(6, 12)),
        st.tuples(st.integers(1, 3), st.integers(6, 9), st.integers(6, 9)),
    ),
    widths=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=3),
    classes=st.integers(2, 5),
)
def test_template_and_store_of_any_widths_equal_the_exported_model_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, ...],
    widths: list[tuple[int, int]],
    classes: int,
) -> None:
    signature = Signature(shape=shape, classes=[str(number) for number in range(classes)])
    assume(any(more for _, more in widths))
    largest = tuple(width + more for width, more in widths)
    config = dataclasses.replace(
        conv_student(channels=largest, strides=[1] * len(largest), fractions=(1.0,)),
        widths=(tuple(width for width, _ in widths), largest),
    )
    student = NestedStudent(signature, config)
    inputs = np.random.default_rng(0).normal(size=(20, *shape)).astype(np.float32)
    student.normalizer.fit(inputs)
    recalibrate(student, torch.from_numpy(inputs))
    quantized, tensors = quantize(student, inputs), layout(signature, config)
    rings = [ring_bytes(tensors, quantized.tensors, capacity) for capacity in (1, 2)]

    for capacity in (1, 2):
        store = assemble(tensors, rings[:capacity])
        template = build_template(quantized, signature, tensors, capacity)
        path = export_capacity(tmp_path_factory.mktemp("export"), template, store, capacity)
        given_inputs = {"input": inputs}
        ours = open_session(template, store).run(None, given_inputs)[0]
        assert np.array_equal(open_exported(path).run(None, given_inputs)[0], ours)
        for name, held in store.items():
            box = tuple(slice(size) for size in held.shape)
            assert np.array_equal(held, quantized.tensors[name][box])


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_template_has_no_weights_and_names_them_as_the_layout_does(
    nest: Nest, capacity: int
) -> None:
    graph = onnx.ModelProto.FromString(nest.templates[capacity - 1]).graph

    external = {
        value.name: list(value.dims)
        for value in graph.initializer
        if value.data_location == onnx.TensorProto.EXTERNAL
    }
    expected = {t.name: list(t.prefixes[capacity - 1].shape) for t in nest.layout}
    assert external == expected
    # Internal data grows with the channels, not with the weights; a gated unit has 2 x 4 biases.
    inside = [onnx.numpy_helper.to_array(v) for v in graph.initializer if v.name not in external]
    assert max(value.size for value in inside) <= 64


def test_template_answers_one_input_as_in_a_batch(nest: Nest) -> None:
    session = open_session(nest.templates[1], nest.tensors(2))

    alone = session.run(None, {"input": nest.inputs[:1]})[0]

    among = session.run(None, {"input": nest.inputs})[0][:1]
    assert np.allclose(alone, among, atol=1e-5)


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_biases_are_on_the_grid_of_the_accumulator(nest: Nest, capacity: int) -> None:
    graph = onnx.ModelProto.FromString(nest.templates[capacity - 1]).graph
    values = {
        v.name: onnx.numpy_helper.to_array(v) for v in graph.initializer if not v.external_data
    }
    scales = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            scales[node.output[0]] = values[node.input[1]]
        elif node.op_type in {"Reshape", "Transpose"} and node.input[0] in scales:
            scales[node.output[0]] = scales[node.input[0]]  # a shuffle stays on its grid

    sums = [node for node in graph.node if node.op_type == "Conv"]

    assert len(sums) == nest.count(Conv, Depthwise)
    for node in sums:
        x, weight, bias = (scales[name] for name in node.input)
        assert np.allclose(bias, x * weight, rtol=1e-6, atol=0)


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_last_layer_sums_in_integers(nest: Nest, capacity: int) -> None:
    model = onnx.ModelProto.FromString(nest.templates[capacity - 1])
    (last,) = (node for node in model.graph.node if node.op_type == "MatMulInteger")
    (total,) = (node for node in model.graph.node if node.op_type == "Add")
    (scaled,) = (node for node in model.graph.node if node.output[0] == "logits")
    values = {
        v.name: onnx.numpy_helper.to_array(v)
        for v in model.graph.initializer
        if not v.external_data
    }
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(last.input[0]))
    session = open_session(model.SerializeToString(), nest.tensors(capacity))
    logits, pooled = session.run(None, {"input": nest.inputs})

    weight = nest.tensors(capacity)["head.weight"].astype(np.int64)
    if weight.ndim > 2:  # the axis of the position in a group comes before that of the group
        weight = weight.transpose(0, 2, 1).reshape(len(weight), -1)
    products = (pooled.astype(np.int64) - int(values[last.input[2]])) @ weight.T
    expected = (products + values[total.input[1]]).astype(np.float32) * values[scaled.input[1]]

    assert np.array_equal(logits, expected)


def test_same_student_gives_the_same_bytes(nest: Nest) -> None:
    again = build_template(nest.quantized, nest.family.signature, nest.layout, 2)

    assert nest.templates[1] == again


def test_weights_of_another_capacity_are_refused(nest: Nest) -> None:
    with pytest.raises(ValueError, match="dimensions do not match"):
        open_session(nest.templates[1], nest.tensors(3))
