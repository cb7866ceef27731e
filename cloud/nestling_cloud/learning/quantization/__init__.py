"""Quantizes a trained nested student.

The result is one set of int8 weights for all capacities, and a few scales and biases for each
capacity. This package may import `learning.loop` and the cloud's `recipes`, but nothing else of
`learning`.
"""

from nestling_cloud.learning.quantization.equalization import equalize
from nestling_cloud.learning.quantization.grid import ActivationRange
from nestling_cloud.learning.quantization.qat import fake_quantization, fine_tune
from nestling_cloud.learning.quantization.quantized_student import (
    QuantizedCapacity,
    QuantizedConv,
    QuantizedRecurrent,
    QuantizedStudent,
)
from nestling_cloud.learning.quantization.quantizer import quantize

__all__ = [
    "ActivationRange",
    "QuantizedCapacity",
    "QuantizedConv",
    "QuantizedRecurrent",
    "QuantizedStudent",
    "equalize",
    "fake_quantization",
    "fine_tune",
    "quantize",
]
