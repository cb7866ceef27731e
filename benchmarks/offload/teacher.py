"""Builds a teacher whose run takes about as long as wanted."""

import time
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from nestling_cloud.cloud_model.model import CloudModel

SHAPE = (6, 100)
_CLASSES = 7
_KERNEL = 5
_CHANNELS = 64
_TRIED = 20


def teacher_of(run_ms: float) -> bytes:
    """Return the ONNX file of a convolutional network whose run takes about `run_ms` here.

    The number of its layers is chosen by timing one of them.
    """
    layers = 8
    for _ in range(2):
        took_ms = run_times_ms(CloudModel("probe", _network(layers)), rows=1)
        layers = max(1, round(layers * run_ms / took_ms))
    return _network(layers)


def run_times_ms(model: CloudModel, *, rows: int) -> float:
    """Return the median time of a run, in ms."""
    inputs = np.zeros((rows, *SHAPE), np.float32)
    times = []
    for _ in range(_TRIED):
        started_s = time.perf_counter()
        model.run(inputs)
        times.append(time.perf_counter() - started_s)
    return 1e3 * float(np.median(times))


def _network(layers: int) -> bytes:
    rng = np.random.default_rng(0)
    weights: dict[str, np.ndarray[Any, Any]] = {}
    nodes, before, channels = [], "input", SHAPE[0]
    for number in range(layers):
        name = f"weights_{number}"
        scale = np.sqrt(2 / (channels * _KERNEL))
        size = (_CHANNELS, channels, _KERNEL)
        weights[name] = (scale * rng.normal(size=size)).astype(np.float32)
        pads = [_KERNEL // 2] * 2
        nodes.append(helper.make_node("Conv", [before, name], [f"conv_{number}"], pads=pads))
        nodes.append(helper.make_node("Relu", [f"conv_{number}"], [f"relu_{number}"]))
        before, channels = f"relu_{number}", _CHANNELS
    weights["last"] = rng.normal(size=(_CHANNELS, _CLASSES)).astype(np.float32)
    weights["axes"] = np.array([2], np.int64)
    nodes.append(helper.make_node("ReduceMean", [before, "axes"], ["pooled"], keepdims=0))
    nodes.append(helper.make_node("MatMul", ["pooled", "last"], ["logits"]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "teacher",
        [value("input", TensorProto.FLOAT, ["n", *SHAPE])],
        [value("logits", TensorProto.FLOAT, ["n", _CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opset = helper.make_opsetid("", 18)
    made: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()
    return made
