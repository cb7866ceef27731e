"""Adds the multiplexer's layers to a capacity's graph.

A single run of the graph then computes the logits and the success probability of each option.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nestling_cloud.models.multiplexer import Multiplexer
from nestling_cloud.models.plain_confidence import FLOOR, PlainConfidence, PlainRule


def attach_multiplexer(
    template: bytes, multiplexer: Multiplexer | PlainConfidence, capacity: int
) -> bytes:
    """Return a capacity's graph with the layers of the multiplexer, or of a plain rule, added.

    They read the graph's output "logits". Their own output, "right" (N, K + 1), is the success
    probability of each option (capacities 1 to K and the cloud).

    Args:
        template: the graph of the capacity, as returned by `build_template`.
        multiplexer: the fitted multiplexer or plain rule, whose few weights are stored in float32.
        capacity: the number of the capacity, 1 to K.
    """
    model = onnx.load_model_from_string(template)
    graph = model.graph
    if isinstance(multiplexer, Multiplexer):
        nodes = _network_nodes(knows_classes=multiplexer.classes is not None)
        constants = _network_constants(multiplexer, capacity)
    else:
        nodes = _plain_nodes(multiplexer.rule)
        outputs = graph.output[0].type.tensor_type.shape.dim[1].dim_value
        constants = _plain_constants(multiplexer, capacity, outputs)
    graph.node.extend(nodes)
    graph.initializer.extend(
        numpy_helper.from_array(value, f"multiplexer.{name}") for name, value in constants.items()
    )
    options = multiplexer.capacities + 1
    graph.output.append(helper.make_tensor_value_info("right", TensorProto.FLOAT, ["N", options]))
    return model.SerializeToString(deterministic=True)


def _node(kind: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    sources, results = (
        [name if name in {"logits", "right"} else f"multiplexer.{name}" for name in names]
        for names in (inputs.split(), outputs.split())
    )
    return helper.make_node(kind, sources, results, results[0], **attributes)


def _network_nodes(*, knows_classes: bool) -> list[NodeProto]:
    sums = [_node("Gemm", "largest weight1 bias1", "sums", transB=1)]
    if knows_classes:
        sums = [
            _node("Gemm", "largest weight1 bias1", "largest_sums", transB=1),
            _node("Gemm", "probabilities classes largest_sums", "sums", transB=1),
        ]
    return [
        _node("Softmax", "logits", "probabilities", axis=1),
        _node("TopK", "probabilities top", "largest places", axis=1),
        *sums,
        _node("Relu", "sums", "hidden"),
        _node("Gemm", "hidden weight2 bias2", "said", transB=1),
        _node("Sigmoid", "said", "right"),
    ]


def _network_constants(multiplexer: Multiplexer, capacity: int) -> dict[str, NDArray[np.generic]]:
    seen, right = multiplexer.seen, multiplexer.right
    ran = multiplexer.ran.weight[capacity - 1]
    classes = multiplexer.classes
    known = {} if classes is None else {"classes": classes.weight.detach().numpy()}
    return {
        **known,
        "top": np.array([multiplexer.top], np.int64),
        "weight1": seen.weight.detach().numpy(),
        "bias1": (seen.bias + ran).detach().numpy(),
        "weight2": right.weight.detach().numpy(),
        "bias2": right.bias.detach().numpy(),
    }


def _confidence_nodes(rule: PlainRule) -> list[NodeProto]:
    """Return the nodes that compute "confidence" from "scaled", the outputs at a temperature."""
    match rule:
        case "joint label" | "score distance":
            return [
                _node("Abs", "scaled", "distances"),
                _node("Sigmoid", "distances", "each"),
                _node("ReduceProd", "each", "confidence", axes=[1], keepdims=1),
            ]
        case "expected error":
            return [
                _node("Slice", "scaled half end axis", "expected"),
                _node("Neg", "expected", "precise"),
                _node("Exp", "precise", "rate"),
                _node("Neg", "rate", "falling"),
                _node("Exp", "falling", "beyond"),
                _node("Sub", "whole beyond", "each"),
                _node("ReduceProd", "each", "confidence", axes=[1], keepdims=1),
            ]
    largest = [
        _node("Softmax", "scaled", "probabilities", axis=1),
        _node("TopK", "probabilities two", "largest places", axis=1),
    ]
    if rule != "margin":
        return [*largest, _node("Slice", "largest zero one axis", "confidence")]
    return [
        *largest,
        _node("Slice", "largest zero one axis", "first"),
        _node("Slice", "largest one two axis", "second"),
        _node("Sub", "first second", "confidence"),
    ]


def _plain_nodes(rule: PlainRule) -> list[NodeProto]:
    return [
        _node("Div", "logits temperature", "scaled"),
        *_confidence_nodes(rule),
        _node("Add", "confidence floor", "sure"),
        _node("Sub", "whole confidence", "rest"),
        _node("Add", "rest floor", "unsure"),
        _node("Log", "sure", "log_sure"),
        _node("Log", "unsure", "log_unsure"),
        _node("Sub", "log_sure log_unsure", "odds"),
        _node("Mul", "odds slope", "sloped"),
        _node("Add", "sloped offset", "said"),
        _node("Sigmoid", "said", "right"),
    ]


def _plain_constants(
    plain: PlainConfidence, capacity: int, outputs: int
) -> dict[str, NDArray[np.generic]]:
    places = _places(plain.rule, outputs)
    return {
        **{name: np.array([place], np.int64) for name, place in places.items()},
        "temperature": plain.temperatures[capacity - 1].numpy().reshape(1),
        "floor": np.array([FLOOR], np.float32),
        "whole": np.array([1], np.float32),
        "slope": plain.slopes[capacity - 1].numpy()[None],
        "offset": plain.offsets[capacity - 1].numpy()[None],
    }


def _places(rule: PlainRule, outputs: int) -> dict[str, int]:
    """Return the places in arrays that the nodes of a rule refer to, by name."""
    match rule:
        case "joint label" | "score distance":
            return {}
        case "expected error":
            return {"half": outputs // 2, "end": outputs, "axis": 1}
        case _:
            return {"zero": 0, "one": 1, "two": 2, "axis": 1}
