"""Converts a network's layers and their values to bytes that can be hashed."""

import math
import re
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from nestling_cloud.learning.onnx.onnx_network import OnnxNetwork
from nestling_cloud.tasks.inputs import Inputs

_ASKED = 64  # inputs
_ADDRESS = re.compile(r"0x[0-9a-f]+")
# Attributes of every module; they include hooks, whose numbers differ from run to run.
_BOOKKEEPING = vars(nn.Module()).keys() - {"_parameters", "_buffers"}


def content_of(network: nn.Module) -> Iterator[bytes]:
    """Yield a network's layers and their values as bytes, in a fixed order.

    The values are numbers, strings, bytes, tensors and arrays, including those inside lists, tuples
    and dictionaries. Plain attributes of layers, which the state dictionary lacks, are included
    too. Objects of other types and memory addresses are left out. A lazy parameter, which has no
    value yet, is represented only by the description of its layer.
    """
    yield _text_of(network)
    for name, layer in network.named_modules():
        for key, value in vars(layer).items():
            if key not in _BOOKKEEPING:
                yield from _values(f"{name}.{key}", value)


@torch.no_grad()
def answers_bytes(network: nn.Module, inputs: Inputs) -> bytes:
    """Return a network's answers to at most 64 evenly spaced inputs, as bytes that can be hashed.

    The answers show almost every difference between two networks, even if their weights are in
    objects that `content_of` does not look into.

    Args:
        network: the network in evaluation mode.
        inputs: at least one input, (N, *shape).

    Returns:
        The bytes, which are empty if the network fails, or if it is an `OnnxNetwork`, whose digest
        is enough to identify it.
    """
    if isinstance(network, OnnxNetwork):  # its digest says everything
        return b""
    rows = torch.from_numpy(inputs[:: math.ceil(len(inputs) / _ASKED)].copy())
    try:
        answers: torch.Tensor = network(rows)
        return answers.numpy().tobytes()
    except Exception:  # noqa: BLE001  why a user's network fails is said when it is checked
        return b""


def _values(name: str, value: object) -> Iterator[bytes]:
    """Yield the plain values, tensors and arrays that a value contains, as bytes.

    Objects of other types are left out.
    """
    match value:
        case dict():
            for key, item in value.items():
                yield from _values(f"{name}.{key}", item)
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _values(f"{name}.{index}", item)
        case bytes():
            yield f"{name} ".encode() + value
        case None | bool() | int() | float() | complex() | str() | np.generic():
            yield f"{name} {_ADDRESS.sub('', repr(value))}".encode()
        case np.ndarray():
            yield f"{name} {value.dtype} {value.shape}".encode() + value.tobytes()
        case torch.Tensor() if not is_lazy(value):
            flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            yield f"{name} {value.dtype} {list(value.shape)}".encode() + flat.numpy().tobytes()


def _text_of(network: nn.Module) -> bytes:
    return _ADDRESS.sub("", repr(network)).encode()
