"""Adds a log-mel front end to a graph, which then reads raw samples.

The graph stores no matrix of the front end, only the few nodes that compute it. Their inputs are
constants, so that onnxruntime computes the matrices once, when it opens the model (ADR 44).
"""

import math
from typing import Any

import numpy as np
from onnx import TensorProto

from nestling_cloud.learning.onnx.graph_builder import GraphBuilder
from nestling_core.student.log_mel import MEL_BREAK_HZ, LogMel


def add_log_mel(graph: GraphBuilder, samples: str, sizes: LogMel) -> str:
    """Add the nodes of a front end, and return the name of its features.

    Args:
        graph: the graph under construction.
        samples: the name of the samples, (N, 1, T).
        sizes: the sizes of the front end.

    Returns:
        The name of the features, (N, *sizes.shape(...)), which are those of
        `nestling_core.student.front_end.LogMelLayer`.
    """
    built = _FrontEndGraph(graph, sizes)
    parts = graph.node("Conv", [samples, built.waves()], strides=[sizes.hop])
    power = graph.node("Conv", [graph.node("Mul", [parts, parts]), built.weights()])
    features = graph.node("Log", [built.add(power, built.number("floor", sizes.floor))])
    if sizes.remove_mean:
        mean = graph.node("ReduceMean", [features], axes=[2], keepdims=1)
        features = graph.node("Sub", [features, mean])
    if sizes.bands_as_channels:
        return features
    return graph.node("Unsqueeze", [features, graph.integers([1])])


class _FrontEndGraph:
    """The parts of a graph that compute a front end's matrices."""

    def __init__(self, graph: GraphBuilder, sizes: LogMel) -> None:
        self._graph = graph
        self._sizes = sizes
        self._bins = self._range("bins", sizes.bins)  # (F,)

    def waves(self) -> str:
        """Add `LogMel.waves`, and return their name, (2 F, 1, window)."""
        sizes, node = self._sizes, self._graph.node
        bins = node("Unsqueeze", [self._bins, self._graph.integers([1])])
        turns = node("Mul", [bins, self._range("place", range(sizes.window))])
        # The remainder keeps angles small, where float32 is exact enough.
        turns = node("Mod", [turns, self._whole("length", sizes.length)])
        angles = self.times(self._real(turns), "step", 2 * math.pi / sizes.length)
        hann = node("HannWindow", [self._whole("window", sizes.window)])
        hann = self.times(hann, "gain", sizes.gain)
        waves = node("Concat", [node("Cos", [angles]), node("Sin", [angles])], axis=0)
        return node("Unsqueeze", [node("Mul", [waves, hann]), self._graph.integers([1])])

    def weights(self) -> str:
        """Add `LogMel.weights` for cosines and sines; return their name, (mels, 2 F, 1)."""
        sizes, node = self._sizes, self._graph.node
        step = sizes.rate_hz / sizes.length / MEL_BREAK_HZ
        scaled = self.times(self._real(self._bins), "hertz", step)
        one = self.number("one", 1)
        mels = node("Log", [self.add(scaled, one)])
        places = self.times(mels, "bands", 1 / sizes.band_width)
        centers = self._real(self._range("centers", range(1, sizes.mels + 1)))
        centers = self.add(centers, self.number("edge", sizes.first_edge))
        column = node("Unsqueeze", [centers, self._graph.integers([1])])
        distances = node("Abs", [node("Sub", [column, places])])
        shares = node("Relu", [node("Sub", [one, distances])])  # (mels, F)
        twice = node("Concat", [shares, shares], axis=1)
        return node("Unsqueeze", [twice, self._graph.integers([2])])

    def add(self, x: str, number: str) -> str:
        return self._graph.node("Add", [x, number])

    def times(self, x: str, name: str, factor: float) -> str:
        return self._graph.node("Mul", [x, self.number(name, factor)])

    def number(self, name: str, value: float) -> str:
        return self._graph.constant(f"sound.{name}", np.array(value, np.float32))

    def _whole(self, name: str, value: int) -> str:
        return self._graph.constant(f"sound.{name}", np.array(value, np.int64))

    def _range(self, name: str, values: range) -> str:
        ends: list[Any] = [values.start, values.stop, values.step]
        names = [self._whole(f"{name}{place}", end) for place, end in enumerate(ends)]
        return self._graph.node("Range", names)

    def _real(self, x: str) -> str:
        return self._graph.node("Cast", [x], to=TensorProto.FLOAT)
