"""Contains the built-in teachers, the multiplexer and the plain rules as torch modules.

This package may import no other package of the cloud.
"""

__all__ = [
    "anomaly_teacher",
    "default_teacher",
    "multiplexer",
    "output_layer",
    "picture_teacher",
    "plain_confidence",
    "teacher",
]
