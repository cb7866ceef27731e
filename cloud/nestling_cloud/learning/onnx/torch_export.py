"""Exports a torch network to a self-contained ONNX model."""

import io
import logging
import warnings
from collections.abc import Sequence

import onnx
import torch
from torch import nn

_OPSET = 18


def export_onnx(
    network: nn.Module,
    inputs: Sequence[torch.Tensor],
    *,
    input_names: Sequence[str],
    output_names: Sequence[str],
) -> bytes:
    """Return a network as a serialized ONNX model that accepts batches of any size.

    Args:
        network: the network, which is set to evaluation mode.
        inputs: an example of each input. The first axis is the batch and has at least two rows,
            because the exporter would fix a batch size of one in the graph.
        input_names: the names of the inputs in the graph, in order.
        output_names: the names of the outputs in the graph, in order.
    """
    network.eval()
    batch = torch.export.Dim("N")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        program = torch.onnx.export(
            network,
            tuple(inputs),
            dynamo=True,
            verbose=False,
            opset_version=_OPSET,
            input_names=list(input_names),
            output_names=list(output_names),
            dynamic_shapes=tuple({0: batch} for _ in inputs),
        )
    assert program is not None  # always so with dynamo=True and no file
    buffer = io.BytesIO()
    onnx.save_model(program.model_proto, buffer)
    return buffer.getvalue()
