"""Names of bundles and blobs, and the check that a blob is what its name says."""

import hashlib
import re
from typing import Literal

from nestling.v1 import bundle_pb2

MANIFEST_FORMAT = 4

Activations = Literal["uint8", "int8"]
"""Integers that a graph template computes its activations in; the logits are the same."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobError(ValueError):
    """Bytes that are not what their digest or size says."""


def blob_of(data: bytes) -> bundle_pb2.Blob:
    """Name some bytes by their SHA-256."""
    return bundle_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def check_blob(blob: bundle_pb2.Blob, data: bytes) -> bytes:
    """Return `data` if it is what `blob` names.

    Raises:
        BlobError: another size or another digest.
    """
    if len(data) != blob.size:
        raise BlobError(
            f"blob {blob.sha256[:12]}: {len(data)} bytes where {blob.size} were promised"
        )
    if hashlib.sha256(data).hexdigest() != blob.sha256:
        raise BlobError(f"blob {blob.sha256[:12]}: the bytes have another SHA-256")
    return data


def is_digest(text: str) -> bool:
    """Whether `text` is a lower-case hexadecimal SHA-256, and so safe as a file name."""
    return _DIGEST.fullmatch(text) is not None


def bundle_version(manifest: bundle_pb2.Manifest, manifest_blob: bundle_pb2.Blob) -> str:
    """Name a bundle for people: task, release and the start of its manifest's digest."""
    return f"{manifest.task}-{manifest.release}-{manifest_blob.sha256[:8]}"


def weights_file(capacity: int) -> str:
    """Name the file that a template's external initialisers point into."""
    return f"capacity-{capacity}.weights"


def template_of(entry: bundle_pb2.Capacity, activations: Activations) -> bundle_pb2.Blob:
    """Name a capacity's template with such activations; an older bundle has one for all."""
    if activations == "int8" and entry.HasField("template_int8"):
        return entry.template_int8
    return entry.template


def activations_in(manifest: bundle_pb2.Manifest) -> list[Activations]:
    """List the kinds of templates that every capacity of a bundle has."""
    signed = all(entry.HasField("template_int8") for entry in manifest.capacities)
    return ["uint8", "int8"] if signed else ["uint8"]


def rings_and_templates(
    manifest: bundle_pb2.Manifest, capacity: int, activations: Activations
) -> list[bundle_pb2.Blob]:
    """List what a device needs besides the shared blobs to hold capacities 1 to `capacity`."""
    held = manifest.capacities[:capacity]
    return [blob for entry in held for blob in (entry.ring, template_of(entry, activations))]


def shared_blobs(manifest: bundle_pb2.Manifest) -> list[bundle_pb2.Blob]:
    """List what every device needs, whatever its budget."""
    return [manifest.calibration, manifest.golden]


def every_blob(manifest: bundle_pb2.Manifest) -> list[bundle_pb2.Blob]:
    """List every blob that a manifest names, whatever the device."""
    entries = manifest.capacities
    signed = [entry.template_int8 for entry in entries if entry.HasField("template_int8")]
    unsigned = rings_and_templates(manifest, len(entries), "uint8")
    return [*shared_blobs(manifest), *unsigned, *signed]


def admitted_capacity(manifest: bundle_pb2.Manifest, memory_bytes: int) -> int:
    """Largest capacity whose resident bytes fit, 0 if not even the smallest does."""
    fitting = [
        index
        for index, capacity in enumerate(manifest.capacities, start=1)
        if capacity.memory_bytes <= memory_bytes
    ]
    return max(fitting, default=0)
