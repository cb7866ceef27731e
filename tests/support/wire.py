"""Manifests with wire forms, for the inputs of the tiny teacher."""

from collections.abc import Sequence

from nestling.v1.bundle_pb2 import CloudModel, Manifest, Signature, WireForm

INT8 = WireForm(name="int8", scales=[0.1, 0.1], payload_bytes=20)
PLAIN = WireForm(name="fp32", payload_bytes=24)


def manifest_with(
    *forms: WireForm,
    model: str = "tiny-teacher",
    classes: int = 4,
    shape: Sequence[int] = (2, 3),
    tolerance: float = 0.001,
) -> Manifest:
    """Return the part of a manifest that an offloader needs."""
    return Manifest(
        signature=Signature(shape=shape, classes=[f"class {n}" for n in range(classes)]),
        cloud=CloudModel(name=model, wire_forms=forms, wire_tolerance=tolerance),
    )
