"""Builds the graph that turns a decoded picture into an input.

Pixels are computed in integers, so that devices compute what the cloud computes. Only the weights
of the scaling come from float32, so another processor could differ by one level of 255 in
principle.
"""

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from nestling.v1.bundle_pb2 import Signature

_OPSET = 18  # the first in which Resize smooths before it makes a picture smaller
_IR_VERSION = 10
_LUMA = (19595, 38470, 7471)  # ITU-R BT.601, in parts of 65536


def picture_graph(signature: Signature) -> bytes:
    """Return the ONNX graph that crops and scales pictures for a task.

    The graph keeps the largest part around the middle that has the proportions of the task's
    inputs, and scales it bilinearly. When it makes a picture smaller, it averages over all pixels
    of the part. A task with one channel gets the luma (brightness).

    Args:
        signature: the signature of the task, of the shape (1 or 3, height, width).

    Returns:
        The graph from "picture", uint8 (h, w, 3) of any size, to "levels", uint8 in the task's
        shape.
    """
    channels, height, width = signature.shape
    graph = _Graph()
    part = graph.centered("picture", height, width)
    planes = graph.add("Transpose", [part], perm=[2, 0, 1])
    if channels == 1:
        planes = graph.luma(planes)
    batch = graph.add("Unsqueeze", [planes, graph.whole(0)])
    size = graph.whole(height, width)
    scaled = graph.add(
        "Resize", [batch, "", "", size], mode="linear", antialias=1, axes=[2, 3]
    )  # half-pixel centers are the default
    graph.add("Squeeze", [scaled, graph.whole(0)], result="levels")
    return graph.serialize(tuple(signature.shape))


class _Graph:
    """Collects the nodes and constants of a graph."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, kind: str, inputs: list[str], *, result: str = "", **attributes: Any) -> str:
        name = result or f"value_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, values: np.ndarray[Any, Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def whole(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def centered(self, picture: str, height: int, width: int) -> str:
        """Add the crop to the proportions of height and width, (h, w, 3) -> (h', w', 3)."""
        rows = self.add("Shape", [picture], start=0, end=1)
        columns = self.add("Shape", [picture], start=1, end=2)
        high, wide = self.whole(height), self.whole(width)
        top, bottom = self._middle(rows, columns, high, wide)
        left, right = self._middle(columns, rows, wide, high)
        starts = self.add("Concat", [top, left], axis=0)
        ends = self.add("Concat", [bottom, right], axis=0)
        return self.add("Slice", [picture, starts, ends, self.whole(0, 1)])

    def _middle(self, along: str, across: str, wanted: str, other: str) -> tuple[str, str]:
        """Add the first and the last place of the middle part of an axis."""
        fitting = self.add("Div", [self.add("Mul", [across, wanted]), other])
        kept = self.add("Max", [self.add("Min", [fitting, along]), self.whole(1)])
        start = self.add("Div", [self.add("Sub", [along, kept]), self.whole(2)])
        return start, self.add("Add", [start, kept])

    def luma(self, planes: str) -> str:
        """Add the brightness, (3, h, w) -> (1, h, w), rounded to the nearest level."""
        values = self.add("Cast", [planes], to=TensorProto.INT32)
        weights = self.constant(np.array(_LUMA, np.int32)[:, None, None])
        weighted = self.add("Mul", [values, weights])
        total = self.add("ReduceSum", [weighted, self.whole(0)], keepdims=1)
        rounded = self.add("Add", [total, self.constant(np.array([1 << 15], np.int32))])
        shifted = self.add("Div", [rounded, self.constant(np.array([1 << 16], np.int32))])
        return self.add("Cast", [shifted], to=TensorProto.UINT8)

    def serialize(self, shape: tuple[int, ...]) -> bytes:
        model = helper.make_model(
            helper.make_graph(
                self._nodes,
                "front_end",
                [helper.make_tensor_value_info("picture", TensorProto.UINT8, ["h", "w", 3])],
                [helper.make_tensor_value_info("levels", TensorProto.UINT8, list(shape))],
                self._constants,
            ),
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="nestling",
        )
        return bytes(model.SerializeToString(deterministic=True))
