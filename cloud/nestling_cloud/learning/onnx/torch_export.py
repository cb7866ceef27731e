"""Exports torch networks and exported programs to self-contained ONNX models."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence

import onnx
import torch
from torch import nn
from torch.export import ExportedProgram

from nestling_core.parsing.headline import headline

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
    with _quietly():
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
    onnx.save_model(_without_origins(program.model_proto), buffer)
    return buffer.getvalue()


def _without_origins(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without what the exporter notes about its origin, such as paths of sources."""
    model.ClearField("metadata_props")
    graph = model.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("metadata_props")
    return model


def export_program(program: ExportedProgram) -> onnx.ModelProto:
    """Return an exported program as an ONNX model, with the shapes that it was exported with."""
    with _quietly():
        made = torch.onnx.export(program, dynamo=True, verbose=False, opset_version=_OPSET)
    assert made is not None  # always so with dynamo=True and no file
    model: onnx.ModelProto = made.model_proto
    return model


def export_reason(err: BaseException) -> str:
    """Return why an export failed, in one line.

    The exporter's own errors give advice for authors of exporters; the reason is in their cause.
    """
    while err.__cause__ is not None:
        err = err.__cause__
    return headline(str(err)) or type(err).__name__


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence what the exporter says about its own internals, on both of its ways."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.fx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
