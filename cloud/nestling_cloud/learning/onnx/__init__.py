"""Builds the ONNX graphs of capacities and of networks that are exported from torch.

The graph of a capacity is called a template. It does not contain the capacity's int8 weights, which
are stored separately, but includes the multiplexer. This package may import `quantization` and
`models`, but no other package of `learning`.
"""

__all__ = ["attach_multiplexer", "compiled_nest", "float_export", "template", "torch_export"]
