"""Builds the ONNX graphs of capacities and of networks that are exported from torch.

The graph of a capacity is called a template. It does not contain the capacity's int8 weights, which
are stored separately, but includes the multiplexer. The package also brings teachers that are ONNX
files or exported programs into the form that the cloud serves. It may import `quantization`,
`tasks`, `models` and `cloud_model`, but no other package of `learning`.
"""

__all__ = [
    "adopt_onnx",
    "attach_multiplexer",
    "compiled_nest",
    "exported_program",
    "float_export",
    "model_ends",
    "onnx_file",
    "onnx_network",
    "template",
    "torch_export",
]
