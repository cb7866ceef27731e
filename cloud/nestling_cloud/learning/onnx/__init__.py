"""ONNX graphs: each capacity's template, the multiplexer attached to it, exports from torch."""
