"""Counts the multiply-accumulates of an ONNX model for one input."""

import math

import onnx

# The place of the weights among the inputs of a node.
_CONVOLUTIONS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}
_RECURRENT = {"RNN", "GRU", "LSTM"}
_PRODUCTS = {"Gemm": 1, "MatMul": 1, "MatMulInteger": 1, "QLinearMatMul": 3}


def graph_macs(model: onnx.ModelProto) -> int:
    """Return the number of multiply-accumulates that a model needs for one input.

    Convolutions, matrix products and recurrent layers are counted, as far as the sizes of their
    tensors can be inferred.

    Args:
        model: the model, whose only input and output have the batch as their first axis.
    """
    alone = onnx.ModelProto()
    alone.CopyFrom(model)
    alone.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del alone.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(alone, data_prop=True).graph
    sizes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.value_info, *graph.output]
    }
    sizes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    sizes |= {value.name: [1, *sizes[value.name][1:]] for value in graph.output}
    return sum(_macs(node, sizes) for node in graph.node)


def _macs(node: onnx.NodeProto, sizes: dict[str, list[int]]) -> int:
    outputs = math.prod(sizes.get(node.output[0], [0])) if node.output else 0
    if node.op_type in _CONVOLUTIONS:
        weights = sizes.get(node.input[_CONVOLUTIONS[node.op_type]], [0, 0])
        return outputs * math.prod(weights[1:])
    if node.op_type in _PRODUCTS:
        place = _PRODUCTS[node.op_type]
        weights = sizes.get(node.input[place], [0, 0])
        turned = any(entry.name == "transB" and entry.i for entry in node.attribute)
        return outputs * (weights[-1] if turned else (weights[-2:] or [0])[0])
    if node.op_type in _RECURRENT:
        steps = sizes.get(node.input[0], [0])[0]
        return steps * sum(math.prod(sizes.get(name, [0])) for name in node.input[1:3])
    return 0
