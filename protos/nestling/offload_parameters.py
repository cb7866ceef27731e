"""Defines what devices and the cloud add to the Open Inference Protocol for offloads.

A device adds parameters to its requests, which other servers of the protocol ignore. The cloud
states its wire forms as extensions. Other servers have no such extensions, so they get plain
tensors.
"""

import struct
from collections.abc import Iterable, Sequence

DEVICE_ID = "device_id"
# Position of the input in the device's source.
INPUT_INDEX = "input_index"
# What the student answered, if one ran before the offload: the answer and, in some kinds of tasks,
# values, as in `nestling.v1.Receipt`.
DEVICE_ANSWER = "device_answer"
DEVICE_VALUES = "device_values"
# True if the cloud is asked to audit an answer that the device has given: the input was drawn at
# random, and is not recorded as a hard one.
AUDIT = "audit"
# Parameter of an input tensor of the type BYTES: the form in which each element encodes an input.
WIRE_FORM = "wire_form"
BYTES = "BYTES"
# Trailing metadata of an overloaded server: the milliseconds after which to try again. This is
# gRPC's own name for it.
RETRY_AFTER_MS = "grpc-retry-pushback-ms"
# Extension of a server whose models have versions that are the beginnings of their files' digests.
CONTENT_VERSIONS = "content_versions"
# Beginning of the extensions by which a server says which wire forms it takes.
_EXTENSION = "wire_form/"
# The protocol puts the length of each element before it.
_LENGTH = struct.Struct("<I")


def values_text(values: Iterable[float]) -> str:
    """Return the values of an answer as the text of a parameter."""
    return " ".join(map(repr, values))


def values_in(text: str) -> tuple[float, ...]:
    """Return the values of an answer from the text of a parameter.

    Raises:
        ValueError: the text is not a list of numbers.
    """
    return tuple(map(float, text.split()))


def wire_form_extensions(names: Iterable[str]) -> list[str]:
    """Return the extensions by which a server says that it takes some wire forms."""
    return [f"{_EXTENSION}{name}" for name in names]


def wire_forms_in(extensions: Iterable[str]) -> frozenset[str]:
    """Return the names of the wire forms that a server takes, according to its extensions."""
    return frozenset(
        extension.removeprefix(_EXTENSION)
        for extension in extensions
        if extension.startswith(_EXTENSION)
    )


def pack_bytes(elements: Iterable[bytes]) -> bytes:
    """Return the raw content of a tensor of the type BYTES."""
    return b"".join(_LENGTH.pack(len(element)) + element for element in elements)


def unpack_bytes(content: bytes, count: int) -> Sequence[bytes]:
    """Return the elements of a tensor of the type BYTES.

    Args:
        content: the raw content, from a peer.
        count: the number of elements.

    Raises:
        ValueError: the content does not consist of `count` elements.
    """
    elements, place = [], 0
    for _ in range(count):
        if place + _LENGTH.size > len(content):
            break
        (length,) = _LENGTH.unpack_from(content, place)
        place += _LENGTH.size
        elements.append(content[place : place + length])
        place += length
    if len(elements) != count or place != len(content):
        raise ValueError(f"the content does not consist of {count} elements with their lengths")
    return elements
