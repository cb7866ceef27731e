"""Changes ONNX graphs: renames tensors, removes what is not needed, adds constants."""

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


def own_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs of a graph that are not weights, which old files list as inputs too."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs inside a node, such as the branches of an `If`."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def rename_tensor(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Rename a tensor wherever a graph and the graphs inside it use it.

    Args:
        graph: the graph, which is changed.
        old: the name of the tensor. If the graph has no such tensor, nothing changes.
        new: a name that the graph does not use.
    """
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
        for inner in subgraphs(node):
            rename_tensor(inner, old, new)
    for value in [*graph.input, *graph.output, *graph.value_info]:
        if value.name == old:
            value.name = new
    sparse = [tensor.values for tensor in graph.sparse_initializer]
    for tensor in [*graph.initializer, *sparse]:
        if tensor.name == old:
            tensor.name = new


def keep_only_needed(graph: onnx.GraphProto) -> None:
    """Remove all nodes and weights that the outputs of a graph do not depend on."""
    needed = {value.name for value in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(filter(None, _used(node)))  # an input that is left out has no name
            kept.append(node)
    kept.reverse()
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(weights)


def add_constant(name: str, value: NDArray[np.generic]) -> onnx.NodeProto:
    """Return a node whose output, of the same name, is a constant array."""
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))


def constants(graph: onnx.GraphProto) -> dict[str, NDArray[np.generic]]:
    """Return the constant integers of a graph by the names of their tensors.

    These are the tensors of 64-bit integers among the weights and the `Constant` nodes, such as the
    shapes of `Reshape` nodes.
    """
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for entry in node.attribute:
            if node.op_type == "Constant" and entry.name == "value":
                tensors[node.output[0]] = entry.t
    return {
        name: numpy_helper.to_array(tensor)
        for name, tensor in tensors.items()
        if tensor.data_type == onnx.TensorProto.INT64
    }


def _used(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the names of all tensors that a node and the graphs inside it use."""
    yield from node.input
    for inner in subgraphs(node):
        yield from (value.name for value in inner.output)
        for nested in inner.node:
            yield from _used(nested)
