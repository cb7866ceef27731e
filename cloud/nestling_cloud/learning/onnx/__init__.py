"""ONNX graphs: the template of each capacity, the multiplexer attached to it, and exports from torch."""
