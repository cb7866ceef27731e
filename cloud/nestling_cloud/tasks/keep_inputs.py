"""Defines which of the inputs that devices send a task lets the cloud store."""

from typing import Literal

from nestling.v1.bundle_pb2 import Signature

KeepInputs = Literal["none", "hard", "audited"]
"""Which offloaded inputs a cloud may store."""

KEPT: tuple[KeepInputs, ...] = ("none", "hard", "audited")
# What shows or records people unasked is not stored unless the task says so.
_PRIVATE_MEDIA = frozenset({"picture", "sound"})


def default_for(signature: Signature) -> KeepInputs:
    """Return what may be stored if the task does not say it."""
    return "none" if signature.media in _PRIVATE_MEDIA else "hard"
