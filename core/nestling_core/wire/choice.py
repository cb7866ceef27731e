"""Chooses the wire form of a bundle's inputs."""

import math
from collections.abc import Collection, Sequence

from nestling.v1.bundle_pb2 import Manifest, WireForm
from nestling_core.wire.forms import FP32, INTEGERS, candidates, wire_name


def best_form(manifest: Manifest, known: Collection[str]) -> WireForm:
    """Return the form with the fewest bytes whose loss is within the bundle's tolerance.

    The loss is the mean drop of the probability that the cloud gives to the true class.

    Args:
        manifest: the bundle's manifest.
        known: the names on the wire of the forms that both sides know, besides FP32.

    Returns:
        The form, which is FP32 if no other one is known and good enough.
    """
    cloud, shape = manifest.cloud, manifest.signature.shape
    plain = plain_form(shape)
    good = [
        form
        for form in cloud.wire_forms
        if wire_name(form.name) in known
        and is_sound(form, shape)
        and form.lost <= cloud.wire_tolerance
    ]
    return min([plain, *good], key=lambda form: form.payload_bytes)


def plain_form(shape: Sequence[int]) -> WireForm:
    """Return the form FP32, which every server accepts, for inputs of the given shape."""
    return WireForm(name=FP32, payload_bytes=4 * math.prod(shape))


def is_sound(form: WireForm, shape: Sequence[int]) -> bool:
    """Return whether a form from a manifest suits a shape and has usable numbers.

    Args:
        form: the form.
        shape: the shape of the inputs.
    """
    name = wire_name(form.name)
    kind = INTEGERS.get(name)
    channels = shape[0] if kind else 1
    has_offset = kind.has_offset if kind else True
    plain = name in {"fp32", "fp16"}
    return (
        form.name in candidates(shape)
        and 0 < form.payload_bytes < math.inf
        and -1 <= form.lost <= 1
        and len(form.scales) == (0 if plain else channels)
        and len(form.offsets) == (0 if plain or not has_offset else channels)
        and all(0 < scale < math.inf for scale in form.scales)
        and all(math.isfinite(offset) for offset in form.offsets)
    )
