"""The unfitted multiplexer and the plain rules, in torch and attached to a capacity's graph."""

from typing import get_args

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.onnx.attach_multiplexer import attach_multiplexer
from nestling_cloud.models.multiplexer import Multiplexer
from nestling_cloud.models.plain_confidence import PlainConfidence, PlainRule

CAPACITIES = 4
SIZES = (0.0, 1e-30, 1.0, 1e6, 1e30)


@pytest.fixture
def multiplexer() -> Multiplexer:
    seeded(0)
    return Multiplexer(3, CAPACITIES).eval()


def logits(size: float) -> torch.Tensor:
    return size * torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_outputs_are_probabilities_for_any_logits(multiplexer: Multiplexer, size: float) -> None:
    right = multiplexer(logits(size), torch.tensor([0, 1, 3]))

    assert right.shape == (3, CAPACITIES + 1)
    assert ((right >= 0) & (right <= 1)).all()


@torch.no_grad()
def test_output_depends_on_confidence_and_capacity(
    multiplexer: Multiplexer,
) -> None:
    given, first = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([0])

    right = multiplexer(given, first)

    assert not torch.allclose(right, multiplexer(given * 2, first))
    assert not torch.allclose(right, multiplexer(given, first + 1))


@torch.no_grad()
def test_output_does_not_depend_on_the_class_or_on_a_common_offset(
    multiplexer: Multiplexer,
) -> None:
    given, first = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([0])

    right = multiplexer(given, first)

    assert torch.allclose(right, multiplexer(given.roll(1, dims=1), first))
    assert torch.allclose(right, multiplexer(given + 5, first), atol=1e-6)


def template(classes: int) -> bytes:
    """Make the graph of a capacity whose logits are its input."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["input"], ["logits"])],
        "capacity",
        [value("input", TensorProto.FLOAT, ["N", classes])],
        [value("logits", TensorProto.FLOAT, ["N", classes])],
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    data: bytes = model.SerializeToString()
    return data


@torch.no_grad()
def test_output_with_known_classes_depends_on_the_class() -> None:
    network = Multiplexer(3, CAPACITIES, knows_classes=True).eval()
    given, first = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([0])

    right = network(given, first)

    assert not torch.allclose(right, network(given.roll(1, dims=1), first))
    assert torch.allclose(right, network(given + 5, first), atol=1e-6)


@pytest.mark.parametrize("capacity", range(1, CAPACITIES + 1))
@pytest.mark.parametrize("classes", [2, 3, 12])
@pytest.mark.parametrize("knows_classes", [False, True])
@torch.no_grad()
def test_attached_multiplexer_computes_the_same_as_in_torch(
    knows_classes: bool, classes: int, capacity: int
) -> None:
    seeded(classes)
    network = Multiplexer(classes, CAPACITIES, knows_classes=knows_classes).eval()
    given = torch.cat([torch.randn(20, classes) * size for size in (0.1, 3.0, 1e4)])

    made = attach_multiplexer(template(classes), network, capacity)

    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(made)
    found, right = session.run(["logits", "right"], {"input": given.numpy()})
    expected = network(given, torch.full((60,), capacity - 1)).numpy()
    assert np.array_equal(found, given.numpy())
    np.testing.assert_allclose(right, expected, atol=1e-5)


def plain(rule: PlainRule, seed: int) -> PlainConfidence:
    """Make a rule with coefficients like fitted ones, of which some are small."""
    rng = np.random.default_rng(seed)
    shape = (CAPACITIES, CAPACITIES + 1)
    return PlainConfidence(
        rule,
        rng.uniform(0.5, 4, CAPACITIES).astype(np.float32),
        rng.uniform(0.05, 2, shape).astype(np.float32),
        rng.normal(0, 3, shape).astype(np.float32),
    )


@pytest.mark.parametrize("capacity", range(1, CAPACITIES + 1))
@pytest.mark.parametrize("classes", [2, 3, 12])
@pytest.mark.parametrize("rule", get_args(PlainRule))
@torch.no_grad()
def test_attached_plain_rule_computes_the_same_as_in_torch(
    rule: PlainRule, classes: int, capacity: int
) -> None:
    seeded(classes)
    network = plain(rule, classes)
    given = torch.cat([torch.randn(20, classes) * size for size in (0.0, 0.1, 3.0, 1e4)])

    made = attach_multiplexer(template(classes), network, capacity)

    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(made)
    found, right = session.run(["logits", "right"], {"input": given.numpy()})
    expected = network(given, torch.full((80,), capacity - 1)).numpy()
    assert np.array_equal(found, given.numpy())
    np.testing.assert_allclose(right, expected, atol=1e-5)
