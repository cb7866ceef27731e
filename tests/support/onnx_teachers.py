"""ONNX files as other tools write them, of teachers of the tiny task."""

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tests.support.tiny_task import CLASSES, LENGTH, TINY_TASK, TinyTeacher

SHAPE = (2, LENGTH)


def network() -> nn.Module:
    """Return a teacher with fixed random weights."""
    torch.manual_seed(0)
    return TinyTeacher(TINY_TASK.signature).eval()


class Wrapped(nn.Module):
    """The teacher with other ends."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.inner = network()
        self.way = way

    def forward(self, x: torch.Tensor) -> Any:
        return _ENDS[self.way](self.inner, x)


def _by_hand(logits: torch.Tensor) -> torch.Tensor:
    exp = logits.exp()
    return exp / exp.sum(1, keepdim=True)


_ENDS: dict[str, Callable[[nn.Module, torch.Tensor], Any]] = {
    "channels last": lambda inner, x: inner(x.transpose(1, 2)),
    "softmax": lambda inner, x: inner(x).softmax(1),
    "sigmoid": lambda inner, x: inner(x).sigmoid(),
    "log softmax": lambda inner, x: inner(x).log_softmax(1),
    "probabilities by hand": lambda inner, x: _by_hand(inner(x)),
    # an exporter writes down the size of the batch
    "constant reshape": lambda inner, x: inner(x).reshape(1, CLASSES),
    "constant flattening": lambda inner, x: inner(x.reshape(1, -1).reshape(1, 2, LENGTH)),
    "largest of the batch": lambda inner, x: inner(x) - inner(x).max(),
    "softmax and back": lambda inner, x: inner(x).softmax(1).double().float(),
    "several outputs": lambda inner, x: (inner(x).argmax(1), inner(x), x.mean(2)),
    "two fitting outputs": lambda inner, x: (inner(x), inner(x).softmax(1)),
}


class Recurrent(nn.Module):
    """A recurrent network whose first state has the size of the batch written down."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.GRU(2, 4, batch_first=True)
        self.head = nn.Linear(4, CLASSES)
        self.state = nn.Buffer(torch.zeros(1, batch, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.layer(x.transpose(1, 2), self.state)
        logits: torch.Tensor = self.head(states[:, -1])
        return logits


def traced(
    made: nn.Module,
    *,
    batch: int = 1,
    free: bool = False,
    opset: int = 17,
    shape: Sequence[int] = SHAPE,
    dtype: torch.dtype = torch.float32,
    names: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Export a network as most files were made, by running it once on a batch of one size."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            made.to(dtype).eval(),
            (torch.zeros(batch, *shape, dtype=dtype),),
            buffer,  # type: ignore[arg-type]  # only files are declared
            dynamo=False,
            opset_version=opset,
            input_names=["samples"],
            output_names=names or ["scores"],
            dynamic_axes={"samples": [0]} if free else None,
        )
    return onnx.load_from_string(buffer.getvalue())


def by_hand(
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, NDArray[np.generic]],
    *,
    inputs: Sequence[tuple[str, int, list[int | str]]] = (
        ("samples", TensorProto.FLOAT, ["N", *SHAPE]),
    ),
    outputs: Sequence[tuple[str, int, list[int | str]]] = (
        ("scores", TensorProto.FLOAT, ["N", CLASSES]),
    ),
    opset: int = 17,
    ir_version: int = 9,
    domains: Sequence[str] = (),
) -> onnx.ModelProto:
    """Make a model node by node."""
    graph = helper.make_graph(
        list(nodes),
        "hand",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
    made: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    return made


def linear(**ends: Any) -> onnx.ModelProto:
    """Make a linear classifier by hand: a flattening and a product."""
    weights = np.random.default_rng(0).standard_normal((2 * LENGTH, CLASSES)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["samples"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
    ]
    return by_hand(nodes, {"weights": weights}, **ends)
