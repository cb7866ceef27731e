"""Encodes an input in a wire form, and decodes it.

The names of forms are `FP32` and those in `WIRE_NAMES`; in a bundle, a picture's form also names
its quality, such as "webp-80". On the wire, an input is a tensor of the Open Inference Protocol:

- "fp32" and "fp16" are tensors of the types FP32 and FP16.
- All other forms are tensors of the type BYTES, with one payload per input. The tensor's parameter
  `wire_form` has the form's name.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import WireForm
from nestling_core.wire.errors import WireError
from nestling_core.wire.integers import Integers
from nestling_core.wire.pictures import Pictures, has_pillow, is_picture

Floats = NDArray[np.float32]

FP32, FP16 = "fp32", "fp16"
# Allowance for the scales and the format's own tables in a payload.
_HEAD_BYTES = 4096

INTEGERS = {
    "int16": Integers(bits=16),
    "int8": Integers(bits=8),
    "int6": Integers(bits=6),
    "uint8": Integers(bits=8, has_offset=True),
}
PICTURES = {"jpeg": Pictures(kind="JPEG"), "webp": Pictures(kind="WEBP")}
QUALITIES = {"jpeg": (90, 75), "webp": (90, 80, 60)}
"""The qualities of pictures that are measured when a bundle is built."""
WIRE_NAMES = (FP16, *INTEGERS, *PICTURES)
"""The names of all forms on the wire except FP32, which every server takes."""


def wire_name(name: str) -> str:
    """Return the name of a form on the wire, which does not include a quality."""
    return name.partition("-")[0]


def encodable() -> frozenset[str]:
    """Return the names on the wire of the forms that this process can encode, except FP32.

    Pictures need Pillow.
    """
    return frozenset(WIRE_NAMES) - (frozenset() if has_pillow() else frozenset(PICTURES))


def candidates(shape: Sequence[int]) -> list[str]:
    """Return the names of the forms that suit inputs of a shape, including "fp32"."""
    found = [FP32, FP16, "int16", "int8", "int6"]
    if len(shape) == 3:
        found.append("uint8")
    if is_picture(shape):
        found += [f"{kind}-{quality}" for kind in PICTURES for quality in QUALITIES[kind]]
    return found


def encode(form: WireForm, window: Floats) -> bytes:
    """Return the payload of an input in a wire form.

    Args:
        form: the form with its scales.
        window: the input, float32 in the task's shape, finite.

    Raises:
        WireError: the form cannot represent the values or the size of this input.
    """
    name = wire_name(form.name)
    if name == FP32:
        return np.ascontiguousarray(window, "<f4").tobytes()
    if name == FP16:
        with np.errstate(over="ignore"):
            half = np.ascontiguousarray(window, "<f2")
        if not np.isfinite(half).all():
            raise WireError("the input has values beyond the range of float16")
        return half.tobytes()
    if name in INTEGERS:
        return INTEGERS[name].encode(window, form.scales, form.offsets)
    quality = int(form.name.partition("-")[2])
    return PICTURES[name].encode(window, form.scales, form.offsets, quality)


def decode(name: str, payload: bytes, shape: Sequence[int]) -> Floats:
    """Return the input of a payload, float32 of the given shape, whose values may be infinite.

    Time and memory are bounded by the shape, whatever the payload contains.

    Args:
        name: the form's name on the wire, from a peer.
        payload: the bytes from a peer.
        shape: the shape of the input.

    Raises:
        WireError: the form is unknown or does not suit the shape, or the payload is damaged or
            larger than any input of this shape needs.
    """
    count = math.prod(shape)
    if len(payload) > 4 * count + _HEAD_BYTES:
        raise WireError(f"{len(payload)} bytes are more than an input of this shape needs")
    decoder = _decoders(shape).get(name)
    if decoder is None:
        raise WireError(f"there is no such form here: there are {', '.join(_decoders(shape))}")
    return decoder(payload)


def _decoders(shape: Sequence[int]) -> dict[str, Callable[[bytes], Floats]]:
    codecs: dict[str, Integers | Pictures] = {
        **INTEGERS,
        **(PICTURES if is_picture(shape) else {}),
    }
    return {
        FP32: partial(_floats, kind="<f4", shape=shape),
        FP16: partial(_floats, kind="<f2", shape=shape),
        **{name: partial(codec.decode, shape=shape) for name, codec in codecs.items()},
    }


def _floats(payload: bytes, *, kind: str, shape: Sequence[int]) -> Floats:
    wanted = np.dtype(kind).itemsize * math.prod(shape)
    if len(payload) != wanted:
        raise WireError(f"the payload has {len(payload)} bytes, not {wanted}")
    return np.frombuffer(payload, kind).astype(np.float32).reshape(shape)
