"""Measures the time, energy and memory of networks on this machine, for `profile`."""

__all__ = ["bundle", "onnx_folder"]
