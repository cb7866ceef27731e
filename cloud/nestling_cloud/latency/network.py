"""Builds untrained int8 networks of given widths, so that their latencies can be measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nestling_cloud.latency.family import Family
from nestling_cloud.learning.onnx.template import build_template
from nestling_cloud.learning.quantization import quantize
from nestling_core.nest.bundle_files import Activations
from nestling_core.student.network import NestedStudent
from nestling_core.student.plan import layout

# Random inputs that set the activation ranges, which do not affect the latency.
_INPUTS = 16


@dataclass(frozen=True, kw_only=True)
class Int8Network:
    """An int8 network, split into a graph without weights (a template) and the weights.

    Attributes:
        template: the content of the ONNX file, whose weights are external data.
        tensors: the weight tensors by name, in the order of the nest's layout.
    """

    template: bytes
    tensors: Mapping[str, NDArray[np.int8]]


def int8_network(
    family: Family,
    widths: Sequence[int],
    rng: np.random.Generator,
    activations: Activations = "uint8",
) -> Int8Network:
    """Build an int8 network of the given widths with random weights.

    Args:
        family: the family of the network.
        widths: the number of channels of every block that has its own width, in order.
        rng: the source of the random weights.
        activations: the integer type of the activations, which should suit the machine's processor.

    Raises:
        SizesError: the family has no student with these widths.
    """
    config, signature = family.config.narrowed(widths), family.signature
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        student = NestedStudent(signature, config).eval()
    inputs = rng.standard_normal((_INPUTS, *signature.shape), np.float32)
    quantized, tensors = quantize(student, inputs), layout(signature, config)
    return Int8Network(
        template=build_template(quantized, signature, tensors, 1, activations),
        tensors={tensor.name: quantized.tensors[tensor.name] for tensor in tensors},
    )
