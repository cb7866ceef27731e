"""Build ONNX graphs: capacity templates, the attached multiplexer, and exports from torch."""
