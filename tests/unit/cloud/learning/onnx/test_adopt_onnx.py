"""ONNX files of other tools are served as they are, or refused in words."""

import copy
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from nestling_cloud.cloud_model.check import try_model
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.learning.macs import network_macs
from nestling_cloud.learning.onnx.adopt_onnx import adopt
from nestling_cloud.learning.onnx.model_ends import Expected, choose_ends
from nestling_cloud.learning.onnx.onnx_file import OnnxTeacherError
from nestling_cloud.models.onnx_teacher import OnnxTeacher
from tests.support.onnx_teachers import (
    SHAPE,
    Recurrent,
    Wrapped,
    by_hand,
    linear,
    network,
    traced,
)
from tests.support.tiny_task import CLASSES, LENGTH, TINY_TASK, tones

FLOAT = TensorProto.FLOAT
ROWS = tones(5, 0).inputs[:]
PLAIN = OnnxTeacher("teacher.onnx")
EXPECTED = Expected(count=CLASSES, activations=frozenset({"Softmax", "Sigmoid"}))


def served(model: onnx.ModelProto, teacher: OnnxTeacher = PLAIN) -> NDArray[np.float32]:
    """Return the logits of the adopted model, after the check that precedes a release."""
    adopted = adopt(model, teacher, SHAPE, EXPECTED)
    cloud = CloudModel("tiny-teacher", adopted.onnx)
    return try_model(cloud, TINY_TASK.signature, ROWS)[: len(ROWS)]


def answers(made: nn.Module) -> NDArray[np.float32]:
    """Return the logits that a torch network gives to each row alone."""
    with torch.no_grad():
        return np.concatenate([made.eval()(torch.from_numpy(row[None])).numpy() for row in ROWS])


def test_model_with_a_free_batch_is_served_as_it_is() -> None:
    model = traced(network(), free=True)
    before = model.SerializeToString()

    np.testing.assert_allclose(served(model), answers(network()), atol=1e-5)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("opset", [9, 11, 13, 18])
@pytest.mark.parametrize("batch", [1, 4])
def test_fixed_batch_is_freed(opset: int, batch: int) -> None:
    model = traced(network(), opset=opset, batch=batch)

    np.testing.assert_allclose(served(model), answers(network()), atol=1e-5)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("way", ["constant reshape", "constant flattening"])
def test_batch_that_is_written_into_a_reshape_is_freed(way: str, free: bool) -> None:
    model = traced(Wrapped(way), free=free)

    np.testing.assert_allclose(served(model), answers(network()), atol=1e-5)
    assert "Scan" not in {node.op_type for node in adopted_graph(model).node}


def adopted_graph(model: onnx.ModelProto) -> onnx.GraphProto:
    return onnx.load_from_string(adopt(model, PLAIN, SHAPE, EXPECTED).onnx).graph


def test_network_that_takes_single_inputs_only_is_run_once_for_each() -> None:
    model = traced(Recurrent(batch=1))

    np.testing.assert_allclose(served(model), answers(Recurrent(batch=1)), atol=1e-5)
    assert [node.op_type for node in adopted_graph(model).node] == ["Scan"]


def test_network_that_would_mix_a_batch_is_run_once_for_each_input() -> None:
    model = traced(Wrapped("largest of the batch"))  # declares a batch of one

    np.testing.assert_allclose(served(model), answers(Wrapped("largest of the batch")), atol=1e-5)


def test_batch_of_several_that_cannot_be_freed_is_refused() -> None:
    with pytest.raises(
        OnnxTeacherError,
        match=r"^accepts batches of 4 only, .* cannot be changed .* dynamic batch axis$",
    ):
        served(traced(Recurrent(batch=4), batch=4))


def test_half_precision_is_served_in_single_precision() -> None:
    model = traced(network(), dtype=torch.float16, free=True)

    logits = served(model)

    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, answers(network()), atol=2e-2)


def test_bfloat16_input_is_cast() -> None:
    cast = helper.make_node("Cast", ["samples"], ["floats"], to=FLOAT)
    flat = helper.make_node("Flatten", ["floats"], ["flat"])
    product = helper.make_node("MatMul", ["flat", "weights"], ["scores"])
    weights = np.eye(2 * LENGTH, CLASSES, dtype=np.float32)
    model = by_hand(
        [cast, flat, product],
        {"weights": weights},
        inputs=[("samples", TensorProto.BFLOAT16, [1, *SHAPE])],
    )

    np.testing.assert_allclose(
        served(model), ROWS.reshape(len(ROWS), -1)[:, :CLASSES], rtol=1e-2, atol=1e-2
    )


def test_channels_may_be_the_last_axis() -> None:
    model = traced(Wrapped("channels last"), shape=(LENGTH, 2))

    np.testing.assert_allclose(served(model), answers(network()), atol=1e-5)


def test_inputs_are_normalized_before_the_network() -> None:
    mean, std = np.array([[1.0], [-2.0]], np.float32), np.array([[0.5], [4.0]], np.float32)
    teacher = OnnxTeacher("teacher.onnx", mean=[1.0, -2.0], std=[0.5, 4.0])

    logits = served(traced(network(), free=True), teacher)

    expected = network()(torch.from_numpy((ROWS - mean) / std)).detach().numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)


@pytest.mark.parametrize("way", ["softmax", "sigmoid", "softmax and back"])
def test_softmax_or_sigmoid_at_the_end_is_removed(way: str) -> None:
    model = traced(Wrapped(way), free=True)

    np.testing.assert_allclose(served(model), answers(network()), atol=1e-5)


@pytest.mark.parametrize("way", ["softmax", "sigmoid", "probabilities by hand"])
def test_values_stay_where_a_task_does_not_learn_from_logits(way: str) -> None:
    expected = Expected(count=CLASSES, activations=frozenset())

    adopted = adopt(traced(Wrapped(way), free=True), PLAIN, SHAPE, expected)

    found = CloudModel("tiny-teacher", adopted.onnx).run(ROWS)
    np.testing.assert_allclose(found, answers(Wrapped(way)), atol=1e-5)


@pytest.mark.parametrize("way", ["probabilities by hand", "log softmax"])
def test_probabilities_become_logits(way: str) -> None:
    logits = served(traced(Wrapped(way), free=True))

    expected = torch.from_numpy(answers(network())).log_softmax(1).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_only_output_that_fits_is_taken_and_the_others_are_dropped() -> None:
    model = traced(Wrapped("several outputs"), names=["class", "scores", "levels"])

    np.testing.assert_allclose(served(model), answers(network()), atol=1e-5)
    assert "ArgMax" not in {node.op_type for node in adopted_graph(model).node}


def test_output_is_taken_by_its_name() -> None:
    model = traced(Wrapped("two fitting outputs"), names=["scores", "shares"])

    np.testing.assert_allclose(
        served(model, OnnxTeacher("teacher.onnx", output="scores")), answers(network()), atol=1e-5
    )


def test_tensors_of_the_file_may_have_the_names_of_the_served_ends() -> None:
    nodes = [
        helper.make_node("Flatten", ["logits"], ["input"]),
        helper.make_node("MatMul", ["input", "weights"], ["scores"]),
    ]
    weights = np.eye(2 * LENGTH, CLASSES, dtype=np.float32)
    ends = [("logits", FLOAT, ["N", *SHAPE])]
    model = by_hand(nodes, {"weights": weights}, inputs=ends)  # type: ignore[arg-type]

    np.testing.assert_allclose(served(model), ROWS.reshape(len(ROWS), -1)[:, :CLASSES], atol=1e-6)


def test_old_file_that_lists_its_weights_as_inputs_is_served() -> None:
    model = linear(opset=9, ir_version=3)
    weights = model.graph.initializer[0]
    model.graph.input.append(
        helper.make_tensor_value_info(weights.name, weights.data_type, list(weights.dims))
    )

    expected = ROWS.reshape(len(ROWS), -1) @ numpy_helper.to_array(weights)
    np.testing.assert_allclose(served(model), expected, atol=1e-5)


def test_file_without_shapes_is_served() -> None:
    model = linear()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.ClearField("shape")

    assert served(model).shape == (len(ROWS), CLASSES)


def test_branches_may_use_tensors_from_outside() -> None:
    branch = helper.make_graph(
        [helper.make_node("MatMul", ["input", "weights"], ["inside"])],
        "branch",
        [],
        [helper.make_tensor_value_info("inside", FLOAT, None)],
    )
    nodes = [
        helper.make_node("Flatten", ["samples"], ["input"]),
        helper.make_node("If", ["yes"], ["scores"], then_branch=branch, else_branch=other(branch)),
    ]
    weights = np.eye(2 * LENGTH, CLASSES, dtype=np.float32)
    model = by_hand(nodes, {"weights": weights, "yes": np.array(True)})

    np.testing.assert_allclose(served(model), ROWS.reshape(len(ROWS), -1)[:, :CLASSES], atol=1e-6)


def other(branch: onnx.GraphProto) -> onnx.GraphProto:
    made = copy.deepcopy(branch)
    made.node[0].output[0] = made.output[0].name = "inside too"
    return made


def test_multiply_accumulates_are_those_of_the_network() -> None:
    adopted = adopt(traced(network(), batch=4), PLAIN, SHAPE, EXPECTED)

    assert adopted.macs == network_macs(network(), SHAPE)


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        (
            {"inputs": [("samples", FLOAT, ["N", *SHAPE]), ("length", TensorProto.INT64, [1])]},
            r"has 2: samples \(float \[N, 2, 16\]\), length \(int64 \[1\]\)",
        ),
        (
            {"inputs": [("samples", FLOAT, ["N", 4, 8])]},
            r"takes samples \(float \[N, 4, 8\]\), but the task's inputs are \[N, 2, 16\]",
        ),
        (
            {"inputs": [("samples", FLOAT, ["N", 2 * LENGTH])]},
            r"takes samples \(float \[N, 32\]\), but the task's inputs",
        ),
        (
            {"outputs": [("scores", FLOAT, ["N"])]},
            r"has no output of 3 floats .* its outputs are scores \(float \[N\]\)",
        ),
    ],
)
def test_model_that_does_not_fit_the_task_is_refused(ends: dict[str, Any], words: str) -> None:
    graph = linear(**ends).graph

    with pytest.raises(OnnxTeacherError, match=words):
        choose_ends(graph, None, None, SHAPE, CLASSES)


def test_integer_input_is_refused() -> None:
    cast = helper.make_node("Cast", ["samples"], ["floats"], to=FLOAT)
    flat = helper.make_node("Flatten", ["floats"], ["flat"])
    product = helper.make_node("MatMul", ["flat", "weights"], ["scores"])
    model = by_hand(
        [cast, flat, product],
        {"weights": np.zeros((32, 3), np.float32)},
        inputs=[("samples", TensorProto.UINT8, ["N", *SHAPE])],
    )

    with pytest.raises(OnnxTeacherError, match=r"samples \(uint8 \[N, 2, 16\]\); export it with"):
        served(model)


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        (OnnxTeacher("t.onnx", input="x"), r"has no input 'x'; its inputs are samples \(float"),
        (OnnxTeacher("t.onnx", output="y"), r"has no output 'y'; its outputs are class .* scores"),
        (
            OnnxTeacher("t.onnx", output="class"),
            r"the output class \(int64 \[1\]\), but the task needs 3 floats",
        ),
        (OnnxTeacher("t.onnx", mean=[1, 2, 3]), "3 numbers in mean or std, .* 2 channels"),
    ],
)
def test_names_and_numbers_that_do_not_fit_are_refused(teacher: OnnxTeacher, words: str) -> None:
    model = traced(Wrapped("several outputs"), names=["class", "scores", "levels"])

    with pytest.raises(OnnxTeacherError, match=words):
        served(model, teacher)


def test_several_fitting_outputs_are_refused_with_their_names() -> None:
    model = traced(Wrapped("two fitting outputs"), names=["scores", "shares"])

    with pytest.raises(OnnxTeacherError, match=r"several outputs .* output='scores'\)"):
        served(model)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"opset": 99}, r"is too new for onnxruntime [\d.]+ \(opset 99, .* opset_version=18"),
        ({"ir_version": 99}, r"is too new for onnxruntime .* IR version 99"),
        ({"opset": 6}, "has opset 6, and 7 is the oldest"),
    ],
)
def test_version_that_cannot_be_served_is_refused(changes: dict[str, int], words: str) -> None:
    with pytest.raises(OnnxTeacherError, match=words):
        served(linear(**changes))


def test_custom_operator_is_named() -> None:
    node = helper.make_node("Whiten", ["samples"], ["scores"], domain="my.lab")

    with pytest.raises(OnnxTeacherError, match=r"does not know: my\.lab\.Whiten; export it with"):
        served(by_hand([node], {}, domains=["my.lab"]))


def test_model_that_answers_otherwise_than_it_declares_is_refused() -> None:
    model = linear()
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.ones((2 * LENGTH, 5), np.float32), "weights")
    )
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "any"

    with pytest.raises(
        OnnxTeacherError, match=r"cannot be run on .*: it answers 1 inputs with \[1, 5\]"
    ):
        served(model)


@pytest.mark.parametrize("text", ["\x1b", "\n", "[ONNXRuntimeError]"])
def test_reasons_are_one_plain_line(text: str) -> None:
    missing = helper.make_node("Add", ["samples", "nowhere"], ["scores"])

    with pytest.raises(OnnxTeacherError) as caught:
        served(by_hand([missing], {}))

    assert text not in str(caught.value)
