"""Holds the code with which `nestling-device profile` measures networks on this machine.

It measures time, energy and memory. Of the device's other packages, this one may import `bundle`,
`energy` and `sources`.
"""

__all__ = ["bundle", "onnx_folder"]
