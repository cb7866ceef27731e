"""Contains the built-in teachers, the multiplexer and the plain rules as torch modules.

This package may import no other package of the cloud.
"""

__all__ = [
    "anomaly_scorer",
    "anomaly_teacher",
    "default_teacher",
    "multiplexer",
    "neighbor_teacher",
    "onnx_teacher",
    "output_layer",
    "picture_teacher",
    "plain_confidence",
    "sound_teacher",
    "teacher",
    "tiny_resnet",
]
