"""From a trained nest to one int8 weight store and what each capacity adds to it."""

from nestling_cloud.quantization.grid import ActivationRange, activation_range, quantize_weight
from nestling_cloud.quantization.student import (
    QuantizedCapacity,
    QuantizedConv,
    QuantizedRecurrent,
    QuantizedStudent,
    quantize,
)

__all__ = [
    "ActivationRange",
    "QuantizedCapacity",
    "QuantizedConv",
    "QuantizedRecurrent",
    "QuantizedStudent",
    "activation_range",
    "quantize",
    "quantize_weight",
]
