"""Adds the multiplexer's layers to a capacity's graph.

A single run of the graph then computes the logits and the success probability of each option.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nestling_cloud.models.multiplexer import Multiplexer


def attach_multiplexer(template: bytes, multiplexer: Multiplexer, capacity: int) -> bytes:
    """Return a capacity's graph with the multiplexer's layers added.

    The multiplexer reads the graph's output "logits". Its own output, "right" (N, K + 1), is the
    success probability of each option (capacities 1 to K and the cloud).

    Args:
        template: the graph of the capacity, as returned by `build_template`.
        multiplexer: the fitted multiplexer, whose few weights are stored in float32.
        capacity: the number of the capacity, 1 to K.
    """
    model = onnx.load_model_from_string(template)
    graph = model.graph
    graph.node.extend(_nodes(knows_classes=multiplexer.classes is not None))
    graph.initializer.extend(
        numpy_helper.from_array(value, f"multiplexer.{name}")
        for name, value in _constants(multiplexer, capacity).items()
    )
    options = multiplexer.capacities + 1
    graph.output.append(helper.make_tensor_value_info("right", TensorProto.FLOAT, ["N", options]))
    return model.SerializeToString(deterministic=True)


def _nodes(*, knows_classes: bool) -> list[NodeProto]:
    def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
        sources, results = (
            [name if name in {"logits", "right"} else f"multiplexer.{name}" for name in names]
            for names in (inputs.split(), outputs.split())
        )
        return helper.make_node(kind, sources, results, results[0], **attributes)

    sums = [node("Gemm", "largest weight1 bias1", "sums", transB=1)]
    if knows_classes:
        sums = [
            node("Gemm", "largest weight1 bias1", "largest_sums", transB=1),
            node("Gemm", "probabilities classes largest_sums", "sums", transB=1),
        ]
    return [
        node("Softmax", "logits", "probabilities", axis=1),
        node("TopK", "probabilities top", "largest places", axis=1),
        *sums,
        node("Relu", "sums", "hidden"),
        node("Gemm", "hidden weight2 bias2", "said", transB=1),
        node("Sigmoid", "said", "right"),
    ]


def _constants(multiplexer: Multiplexer, capacity: int) -> dict[str, NDArray[np.generic]]:
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
