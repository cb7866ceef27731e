"""Names bundles and blobs, checks a blob against its digest, and lists what a device needs."""

import hashlib
import re
from typing import Literal

from nestling.v1 import bundle_pb2

MANIFEST_FORMAT = 4

Activations = Literal["uint8", "int8"]
"""Integer type of the activations in a graph template; the logits are the same for both."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobError(ValueError):
    """Bytes that do not match their digest or size."""


def blob_of(data: bytes) -> bundle_pb2.Blob:
    """Make the blob reference (SHA-256 and size) of some bytes."""
    return bundle_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def check_blob(blob: bundle_pb2.Blob, data: bytes) -> bytes:
    """Return `data` if it matches a blob's size and digest.

    Args:
        blob: the expected size and digest.
        data: the bytes to check.

    Raises:
        BlobError: the size or the digest differs.
    """
    if len(data) != blob.size:
        raise BlobError(f"blob {blob.sha256[:12]}: {len(data)} bytes instead of {blob.size}")
    if hashlib.sha256(data).hexdigest() != blob.sha256:
        raise BlobError(f"blob {blob.sha256[:12]}: the bytes have another SHA-256")
    return data


def is_digest(text: str) -> bool:
    """Return whether `text` is a lower-case hexadecimal SHA-256, which is safe as a file name."""
    return _DIGEST.fullmatch(text) is not None


def bundle_version(manifest: bundle_pb2.Manifest, manifest_blob: bundle_pb2.Blob) -> str:
    """Return a bundle's readable name: task, release and the start of its manifest's digest.

    Args:
        manifest: the bundle's manifest.
        manifest_blob: size and digest of the serialized manifest.
    """
    return f"{manifest.task}-{manifest.release}-{manifest_blob.sha256[:8]}"


def weights_file(capacity: int) -> str:
    """Return the name of the file that a template's external initializers refer to."""
    return f"capacity-{capacity}.weights"


def template_of(entry: bundle_pb2.Capacity, activations: Activations) -> bundle_pb2.Blob:
    """Return the template of a capacity for a type of activations.

    Bundles from before `template_int8` have one template, which serves for both types.

    Args:
        entry: the capacity's entry in the manifest.
        activations: integer type of the activations.
    """
    if activations == "int8" and entry.HasField("template_int8"):
        return entry.template_int8
    return entry.template


def activations_in(manifest: bundle_pb2.Manifest) -> list[Activations]:
    """List the activation types for which every capacity of a bundle has a template."""
    signed = all(entry.HasField("template_int8") for entry in manifest.capacities)
    return ["uint8", "int8"] if signed else ["uint8"]


def rings_and_templates(
    manifest: bundle_pb2.Manifest, capacity: int, activations: Activations
) -> list[bundle_pb2.Blob]:
    """List the rings and templates of capacities 1 to `capacity`.

    Args:
        manifest: the bundle's manifest.
        capacity: largest capacity to hold, from 1.
        activations: activation type of the templates.
    """
    held = manifest.capacities[:capacity]
    return [blob for entry in held for blob in (entry.ring, template_of(entry, activations))]


def shared_blobs(manifest: bundle_pb2.Manifest) -> list[bundle_pb2.Blob]:
    """List the blobs that every device needs, whatever its budget."""
    return [manifest.calibration, manifest.golden]


def every_blob(manifest: bundle_pb2.Manifest) -> list[bundle_pb2.Blob]:
    """List every blob that a manifest names, including both kinds of templates."""
    entries = manifest.capacities
    signed = [entry.template_int8 for entry in entries if entry.HasField("template_int8")]
    unsigned = rings_and_templates(manifest, len(entries), "uint8")
    return [*shared_blobs(manifest), *unsigned, *signed]


def memory_needed(manifest: bundle_pb2.Manifest) -> list[int]:
    """Return the bytes of memory that each capacity needs while it is loaded, smallest first."""
    return [entry.memory_bytes for entry in manifest.capacities]
