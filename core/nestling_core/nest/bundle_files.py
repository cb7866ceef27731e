"""Names a bundle and its files, and lists the files that a device needs.

Each file of a bundle is stored as a blob, which is named after the SHA-256 of its bytes. The module
also checks bytes against this digest.
"""

import hashlib
import re
from typing import Literal

from nestling.v1 import bundle_pb2

MANIFEST_FORMAT = 8

Activations = Literal["uint8", "int8"]
"""The integer type of the activations in a template (ONNX graph); it does not change the logits."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobError(ValueError):
    """Raised when bytes do not have the size or the digest that they should have."""


def blob_of(data: bytes) -> bundle_pb2.Blob:
    """Return the blob reference (SHA-256 and size) of some bytes."""
    return bundle_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def check_blob(blob: bundle_pb2.Blob, data: bytes) -> bytes:
    """Return `data` if it has the size and the digest of a blob.

    Args:
        blob: the blob reference with the expected size and digest.
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
    """Return whether `text` is a SHA-256 in lower-case hexadecimal.

    If so, it is safe as a file name.
    """
    return _DIGEST.fullmatch(text) is not None


def bundle_version(manifest: bundle_pb2.Manifest, manifest_blob: bundle_pb2.Blob) -> str:
    """Return the readable name of a bundle.

    The name consists of the task, the release number and the first 8 digits of the manifest's
    SHA-256.

    Args:
        manifest: the bundle's manifest.
        manifest_blob: the size and digest of the serialized manifest.
    """
    return f"{manifest.task}-{manifest.release}-{manifest_blob.sha256[:8]}"


def weights_file(capacity: int) -> str:
    """Return the name of the weights file to which the ONNX graph of a capacity refers."""
    return f"capacity-{capacity}.weights"


def template_of(entry: bundle_pb2.Capacity, activations: Activations) -> bundle_pb2.Blob:
    """Return the template (ONNX graph) of a capacity for one type of activations.

    A bundle made before the field `template_int8` existed has one template for both types.

    Args:
        entry: the capacity's entry in the manifest.
        activations: the integer type of the activations.
    """
    if activations == "int8" and entry.HasField("template_int8"):
        return entry.template_int8
    return entry.template


def activations_in(manifest: bundle_pb2.Manifest) -> list[Activations]:
    """Return the activation types for which every capacity has a template (ONNX graph)."""
    signed = all(entry.HasField("template_int8") for entry in manifest.capacities)
    return ["uint8", "int8"] if signed else ["uint8"]


def rings_and_templates(
    manifest: bundle_pb2.Manifest, capacity: int, activations: Activations
) -> list[bundle_pb2.Blob]:
    """Return the blobs of the rings and templates of capacities 1 to `capacity`.

    A ring contains the weights that a capacity adds to the next smaller one. A template is the ONNX
    graph of a capacity.

    Args:
        manifest: the bundle's manifest.
        capacity: the largest capacity to include, 1 to K.
        activations: the activation type of the templates.
    """
    held = manifest.capacities[:capacity]
    return [blob for entry in held for blob in (entry.ring, template_of(entry, activations))]


def shared_blobs(manifest: bundle_pb2.Manifest) -> list[bundle_pb2.Blob]:
    """Return the blobs that every device needs, whatever its budget.

    These blobs are the calibration, the golden inputs (inputs with known logits), and the front end
    (the graph that makes inputs from pictures), if there is one.
    """
    front_end = [manifest.front_end] if manifest.HasField("front_end") else []
    return [manifest.calibration, manifest.golden, *front_end]


def every_blob(manifest: bundle_pb2.Manifest) -> list[bundle_pb2.Blob]:
    """Return every blob that a device may fetch, including all templates (ONNX graphs).

    The teacher's ONNX file is left out, because it stays in the cloud.
    """
    entries = manifest.capacities
    signed = [entry.template_int8 for entry in entries if entry.HasField("template_int8")]
    unsigned = rings_and_templates(manifest, len(entries), "uint8")
    return [*shared_blobs(manifest), *unsigned, *signed]


def teacher_version(manifest: bundle_pb2.Manifest) -> str:
    """Return the version of a bundle's teacher, the beginning of its file's digest.

    The cloud serves each version under the same name, so that devices with an older bundle still
    get the answers of their teacher. The result is "" if the manifest does not name the file.
    """
    return manifest.cloud.onnx.sha256[:8]


def memory_needed(manifest: bundle_pb2.Manifest) -> list[int]:
    """Return the memory in bytes that each capacity needs when loaded, smallest capacity first."""
    return [entry.memory_bytes for entry in manifest.capacities]
