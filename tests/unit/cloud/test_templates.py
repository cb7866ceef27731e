"""Templates against the torch student that they were made from.

The student already has the rounded weights, so what remains between them is the rounding of
activations to 8 bits. It is allowed to move a logit by a tenth of the range of all logits.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from nestling.nest import assemble, ring_bytes
from nestling.session import open_session
from nestling.student.config import conv_student
from nestling.student.network import NestedStudent
from nestling.student.plan import layout
from nestling.v1.bundle_pb2 import NestedTensor
from nestling_cloud.bundles.export import export_capacity, weights_file
from nestling_cloud.quantization import quantize
from nestling_cloud.tasks import Signature
from nestling_cloud.templates import build_template

TOLERANCE = 0.1
CAPACITIES = (1, 2, 3)
WINDOW = Signature(shape=[2, 32], classes=["a", "b", "c"])
PICTURE = Signature(shape=[1, 12, 9], classes=["a", "b", "c", "d"])


@dataclass(frozen=True, kw_only=True)
class Nest:
    """A student, its templates by capacity from 0, and all rings."""

    student: NestedStudent
    layout: list[NestedTensor]
    templates: list[bytes]
    rings: list[bytes]
    inputs: NDArray[np.float32]

    def tensors(self, capacity: int) -> dict[str, NDArray[np.int8]]:
        return assemble(self.layout, self.rings[:capacity])


@pytest.fixture(scope="module", params=[WINDOW, PICTURE], ids=["window", "picture"])
def nest(request: pytest.FixtureRequest) -> Nest:
    signature: Signature = request.param
    torch.manual_seed(0)
    config = conv_student(channels=(8, 12), strides=(2, 1), fractions=(0.25, 0.5, 1.0))
    student = NestedStudent(signature, config)
    generator = np.random.default_rng(0)
    inputs = generator.normal(3, 5, (200, *signature.shape)).astype(np.float32)
    student.normalizer.fit(inputs)
    with torch.no_grad():
        for parameter in student.layers.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
        student.head_offsets.copy_(torch.randn_like(student.head_offsets))
    quantized = quantize(student, inputs)
    tensors = layout(signature, config)
    return Nest(
        student=student,
        layout=tensors,
        templates=[build_template(quantized, signature, tensors, k) for k in CAPACITIES],
        rings=[ring_bytes(tensors, quantized.tensors, k) for k in CAPACITIES],
        inputs=inputs,
    )


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_template_with_weights_from_the_rings_answers_as_the_student(
    nest: Nest, capacity: int
) -> None:
    with torch.no_grad():
        expected = nest.student(torch.from_numpy(nest.inputs), capacity).numpy()

    session = open_session(nest.templates[capacity - 1], nest.tensors(capacity))
    found = session.run(["logits"], {"input": nest.inputs})[0]

    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= TOLERANCE * np.ptp(expected)


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_exported_pair_of_files_passes_the_checker_and_plain_onnxruntime(
    nest: Nest, capacity: int, tmp_path: Path
) -> None:
    path = export_capacity(tmp_path, nest.templates[capacity - 1], nest.tensors(capacity), capacity)

    onnx.checker.check_model(str(path), full_check=True)
    stranger = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ours = open_session(nest.templates[capacity - 1], nest.tensors(capacity))
    given = {"input": nest.inputs}
    assert np.array_equal(stranger.run(None, given)[0], ours.run(None, given)[0])
    assert {path.name, weights_file(capacity)} == {file.name for file in tmp_path.iterdir()}


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
    # What is inside grows with the channels, not with the weights.
    inside = [onnx.numpy_helper.to_array(v) for v in graph.initializer if v.name not in external]
    assert max(value.size for value in inside) <= 12


def test_template_answers_one_input_as_it_does_among_many(nest: Nest) -> None:
    session = open_session(nest.templates[1], nest.tensors(2))

    alone = session.run(None, {"input": nest.inputs[:1]})[0]

    among = session.run(None, {"input": nest.inputs})[0][:1]
    assert np.allclose(alone, among, atol=1e-5)


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_biases_are_on_the_accumulators_grid_so_that_integer_kernels_can_add_them(
    nest: Nest, capacity: int
) -> None:
    graph = onnx.ModelProto.FromString(nest.templates[capacity - 1]).graph
    values = {
        v.name: onnx.numpy_helper.to_array(v) for v in graph.initializer if not v.external_data
    }
    scales = {
        node.output[0]: values[node.input[1]]
        for node in graph.node
        if node.op_type == "DequantizeLinear"
    }

    sums = [node for node in graph.node if node.op_type == "Conv"]

    assert len(sums) == 2
    for node in sums:
        x, weight, bias = (scales[name] for name in node.input)
        assert np.allclose(bias, x * weight, rtol=1e-6, atol=0)


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_last_layer_sums_in_integers_so_that_every_processor_gives_the_same_logits(
    nest: Nest, capacity: int
) -> None:
    model = onnx.ModelProto.FromString(nest.templates[capacity - 1])
    (last,) = (node for node in model.graph.node if node.op_type == "MatMulInteger")
    (total,) = (node for node in model.graph.node if node.op_type == "Add")
    (scaled,) = (node for node in model.graph.node if node.op_type == "Mul")
    values = {
        v.name: onnx.numpy_helper.to_array(v)
        for v in model.graph.initializer
        if not v.external_data
    }
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(last.input[0]))
    session = open_session(model.SerializeToString(), nest.tensors(capacity))
    logits, pooled = session.run(None, {"input": nest.inputs})

    products = (pooled.astype(np.int64) - int(values[last.input[2]])) @ nest.tensors(capacity)[
        "head.weight"
    ].T.astype(np.int64)
    expected = (products + values[total.input[1]]).astype(np.float32) * values[scaled.input[1]]

    assert np.array_equal(logits, expected)


def test_same_student_gives_the_same_bytes(nest: Nest) -> None:
    capacity = 2
    quantized = quantize(nest.student, nest.inputs)
    signature = PICTURE if nest.inputs.ndim == 4 else WINDOW

    first = build_template(quantized, signature, nest.layout, capacity)

    assert first == build_template(quantized, signature, nest.layout, capacity)


def test_weights_of_another_capacity_are_refused(nest: Nest) -> None:
    with pytest.raises(ValueError, match="dimensions do not match"):
        open_session(nest.templates[1], nest.tensors(3))
