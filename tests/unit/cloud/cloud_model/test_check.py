"""A cloud model with wrong answers is refused before its release."""

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.cloud_model.check import run_in_batches, try_model
from nestling_cloud.cloud_model.model import MAX_BATCH, CloudModel, ModelError

SIGNATURE = Signature(shape=[2, 3], classes=["a", "b", "c", "d"])
INPUTS = np.random.default_rng(0).normal(size=(40, 2, 3)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)


def model(*after: tuple[str, list[str], str], kind: int = TensorProto.FLOAT) -> bytes:
    """Build an ONNX model of one matrix product, "hidden", and the given nodes up to "logits"."""
    nodes = [("Flatten", ["input"], "flat"), ("MatMul", ["flat", "weights"], "hidden"), *after]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(op, inputs, [output]) for op, inputs, output in nodes],
        "teacher",
        [value("input", TensorProto.FLOAT, ["n", 2, 3])],
        [value("logits", kind, ["n", 4])],
        [numpy_helper.from_array(WEIGHTS, "weights")],
    )
    graph_model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    data: bytes = graph_model.SerializeToString()
    return data


SOUND = model(("Identity", ["hidden"], "logits"))
CENTRED = model(("ReduceMean", ["hidden"], "mean"), ("Sub", ["hidden", "mean"], "logits"))
SQUEEZED = model(("Squeeze", ["hidden"], "logits"))
LOGARITHM = model(("Log", ["hidden"], "logits"))
CHANCE = model(("RandomUniformLike", ["hidden"], "noise"), ("Add", ["hidden", "noise"], "logits"))


def check(content: bytes, inputs: NDArray[np.float32] = INPUTS) -> NDArray[np.float32]:
    return try_model(CloudModel("tiny-teacher", content), SIGNATURE, inputs)


@pytest.mark.parametrize("count", [1, 5, 40])
def test_valid_model_returns_logits_of_a_full_batch(count: int) -> None:
    logits = check(SOUND, INPUTS[:count])

    assert logits.shape == (MAX_BATCH, 4)
    expected = np.resize(INPUTS[:count], (MAX_BATCH, 6)) @ WEIGHTS
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CENTRED, "gives an input other logits in a batch of 2 than alone"),
        (CHANCE, "gives an input other logits in a batch"),
        (LOGARITHM, "inputs with logits that are not finite"),
    ],
)
def test_model_whose_answers_depend_on_the_batch_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        check(content)


def test_model_that_drops_the_batch_axis_of_one_input_does_not_load() -> None:
    with pytest.raises(ModelError, match=r"answers 1 inputs with logits \[4\], not \[1, 4\]"):
        CloudModel("tiny-teacher", SQUEEZED)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(TensorProto.DOUBLE, r"tensor\(double\)"), (TensorProto.FLOAT16, r"tensor\(float16\)")],
)
def test_model_with_another_float_type_does_not_load(kind: int, words: str) -> None:
    cast = helper.make_node("Cast", ["hidden"], ["logits"], to=kind)
    content = model(kind=kind)
    proto = onnx.load_model_from_string(content)
    proto.graph.node.append(cast)
    with pytest.raises(ModelError, match=f"needs one float32 tensor 'logits'.*{words}"):
        CloudModel("tiny-teacher", proto.SerializeToString())


@pytest.mark.parametrize(
    "signature",
    [Signature(shape=[3, 2], classes=list("abcd")), Signature(shape=[2, 3], classes=list("abc"))],
)
def test_model_of_another_signature_is_refused(signature: Signature) -> None:
    with pytest.raises(ModelError, match=r"takes inputs of shape \[2, 3\] and has 4 outputs"):
        try_model(CloudModel("tiny-teacher", SOUND), signature, INPUTS)


def test_first_input_without_a_finite_answer_is_named() -> None:
    inputs = np.abs(INPUTS)
    weights_positive = model(("Abs", ["hidden"], "absolute"), ("Log", ["absolute"], "logits"))
    inputs[35] = 0  # its logarithm is not finite

    with pytest.raises(ModelError, match=r"answers 1 of 40 inputs .* input 35\)"):
        run_in_batches(CloudModel("tiny-teacher", weights_positive), inputs)
