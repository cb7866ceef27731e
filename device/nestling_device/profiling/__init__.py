"""Measures the time, energy and memory of networks on this machine.

`nestling-device profile` uses this package. Of the device's other packages, this one may import
`bundle`, `energy` and `sources`.
"""

__all__ = ["bundle", "onnx_folder"]
