"""Build ONNX graphs: capacity templates, the attached multiplexer, and exports from torch."""

__all__ = ["attach_multiplexer", "float_export", "template", "torch_export"]
