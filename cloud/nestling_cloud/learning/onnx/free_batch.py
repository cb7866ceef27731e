"""Changes ONNX models that accept one batch size so that they accept every size."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from nestling_cloud.cloud_model.model import INPUT, OUTPUT
from nestling_cloud.learning.onnx.graph_edit import add_constant, constants, rename_tensor

FIRST_AXIS = "N"
"""The name of the batch axis of a model."""

_OLDEST_SCAN = 9  # the opset from which on Scan has no batch axis of its own
_ROW, _ONE = "nestling:row", "nestling:batch of one row"
_ONE_ANSWER, _ANSWER = "nestling:batch of one answer", "nestling:answer"


def with_free_reshapes(model: onnx.ModelProto, size: int) -> onnx.ModelProto:
    """Return a model whose reshapes do not write down the size of the batch.

    Exporters that trace a network with one batch write its size into the shapes of `Reshape` nodes.

    Args:
        model: the model, which is left as it is.
        size: the size of the batch with which the model was exported.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    shapes = constants(made.graph)
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(made.graph.node):
        if node.op_type == "Reshape" and len(node.input) == 2 and node.input[1] in shapes:
            shape = shapes[node.input[1]].reshape(-1).astype(np.int64)
            if len(shape) and shape[0] == size:
                # 0 takes over the size of the axis; only one axis may be -1.
                shape[0] = 0 if -1 in shape[1:] else -1
                nodes.append(add_constant(f"nestling:shape {number}", shape))
                node.input[1] = nodes[-1].output[0]
        nodes.append(node)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    return made


def row_by_row(model: onnx.ModelProto, shape: Sequence[int], outputs: int) -> onnx.ModelProto:
    """Return a model that runs another one once for each input of a batch.

    Below opset 9, which `Scan` needs, it is a copy of the other one without changes.

    Args:
        model: the model, which accepts a batch of one, and is left as it is.
        shape: the shape of one input.
        outputs: the number of outputs for one input.
    """
    opset = next((entry.version for entry in model.opset_import if not entry.domain), 0)
    made = onnx.ModelProto()
    made.CopyFrom(model)
    if opset < _OLDEST_SCAN:
        return made  # it stays as it is, and is found to accept one size only
    body, kind = onnx.GraphProto(), TensorProto.FLOAT
    body.CopyFrom(model.graph)
    rename_tensor(body, INPUT, _ONE)
    rename_tensor(body, OUTPUT, _ONE_ANSWER)
    before = add_constant("nestling:shape of one input", np.array([1, *shape], np.int64))
    after = add_constant("nestling:shape of one answer", np.array([outputs], np.int64))
    nodes = [
        before,
        helper.make_node("Reshape", [_ROW, before.output[0]], [_ONE]),
        *body.node,
        after,
        helper.make_node("Reshape", [_ONE_ANSWER, after.output[0]], [_ANSWER]),
    ]
    del body.node[:], body.input[:], body.output[:]
    body.node.extend(nodes)
    body.input.append(helper.make_tensor_value_info(_ROW, kind, list(shape)))
    body.output.append(helper.make_tensor_value_info(_ANSWER, kind, [outputs]))
    scan = helper.make_node("Scan", [INPUT], [OUTPUT], body=body, num_scan_inputs=1)
    del made.graph.node[:], made.graph.initializer[:]
    made.graph.node.append(scan)
    return made
