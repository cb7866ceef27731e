"""Decides which releases a device installs or refuses, and how many capacities of a bundle it gets.

The rules are pure functions: they perform no I/O.
"""

from google.protobuf.message import DecodeError

from nestling.v1 import bundle_pb2, delivery_pb2
from nestling_core.nest.bundle_files import (
    MANIFEST_FORMAT,
    Activations,
    bundle_version,
    every_blob,
    is_digest,
    memory_needed,
    rings_and_templates,
    shared_blobs,
)
from nestling_core.nest.layout import NestError, check_layout
from nestling_core.routing.admission import largest_capacity
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.storage.state import BundleRecord, ReleaseFloor

# Largest integer that SQLite can store.
LARGEST_RELEASE = 2**63 - 1
# A manifest is read into memory as a whole before it can be checked.
LARGEST_MANIFEST_BYTES = 1 << 20


class AdmissionError(DeliveryError):
    """Raised when this device must not or cannot install a bundle."""


class UnknownFormatError(AdmissionError):
    """Raised when this program does not know the format of a manifest."""


def check_offer(desired: delivery_pb2.GetDesiredBundleResponse) -> None:
    """Check that the cloud offers a manifest, and that its size is acceptable.

    Raises:
        AdmissionError: the manifest is missing, or is too large.
    """
    if not is_digest(desired.manifest.sha256) or desired.manifest.size == 0:
        raise AdmissionError(
            "the cloud offers a bundle without a manifest", advice="release it again"
        )
    if desired.manifest.size > LARGEST_MANIFEST_BYTES:
        raise AdmissionError(
            f"the offered manifest has {desired.manifest.size} bytes, more than the "
            f"{LARGEST_MANIFEST_BYTES} that a device reads",
            advice="release a smaller one",
        )


def parse_manifest(data: bytes) -> bundle_pb2.Manifest:
    """Parse a manifest, check that it is consistent, and return it.

    Raises:
        AdmissionError: the bytes are not a manifest, or the manifest is inconsistent.
        UnknownFormatError: this program does not know the manifest's format.
    """
    try:
        manifest = bundle_pb2.Manifest.FromString(data)
    except DecodeError as err:
        raise AdmissionError(
            "the manifest cannot be read", advice="release the bundle again"
        ) from err
    if manifest.format != MANIFEST_FORMAT:
        raise UnknownFormatError(
            f"the manifest has format {manifest.format} and this program knows {MANIFEST_FORMAT}",
            advice="update the program, or release the bundle in its format",
        )
    _check_nest(manifest)
    named = every_blob(manifest)
    if not all(is_digest(blob.sha256) for blob in named):
        raise AdmissionError(
            "the manifest names a blob without a SHA-256", advice="release it again"
        )
    return manifest


def _check_nest(manifest: bundle_pb2.Manifest) -> None:
    try:
        check_layout(manifest.tensors)
    except NestError as err:
        raise AdmissionError(
            f"the manifest's nest is invalid: {err}", advice="release the bundle again"
        ) from err
    if len(manifest.tensors[0].prefixes) != len(manifest.capacities):
        raise AdmissionError(
            f"the manifest has {len(manifest.capacities)} capacities and prefixes for "
            f"{len(manifest.tensors[0].prefixes)}",
            advice="release the bundle again",
        )


def check_release(
    manifest: bundle_pb2.Manifest,
    desired: delivery_pb2.GetDesiredBundleResponse,
    *,
    active: BundleRecord | None,
    floor: ReleaseFloor | None,
) -> None:
    """Check that a device may switch to a release.

    Args:
        manifest: the release's manifest.
        desired: the cloud's answer that names the release.
        active: the bundle that the device runs now, if any.
        floor: the newest release of the manifest's task that the device ever accepted, if any.

    Raises:
        AdmissionError: one of the following is true:

            - The release's number is too large to store.
            - The manifest does not match the cloud's answer.
            - The release is for another task than the active bundle.
            - The device has accepted a newer release of the task.
            - The device has accepted another bundle under the same number.
    """
    if manifest.release > LARGEST_RELEASE:
        raise AdmissionError(
            f"release {manifest.release} is larger than {LARGEST_RELEASE}, the largest number that "
            "a device can store"
        )
    version = bundle_version(manifest, desired.manifest)
    if (desired.release, desired.bundle_version) != (manifest.release, version):
        raise AdmissionError(
            f"the cloud offers bundle {desired.bundle_version!r}, but its manifest is that of "
            f"{version!r}",
            advice="release the bundle again",
        )
    if active is not None and active.task != manifest.task:
        raise AdmissionError(
            f"this device runs task {active.task!r} and the cloud offers {manifest.task!r}",
            advice="use a separate state folder for the other task",
        )
    if floor is None or manifest.release > floor.release:
        return
    if manifest.release < floor.release:
        raise AdmissionError(
            f"release {manifest.release} of {manifest.task} is older than {floor.release}, which "
            "this device has accepted",
            advice="release it again with a higher number",
        )
    if desired.manifest.sha256 != floor.manifest_sha256:
        raise AdmissionError(
            f"this device has accepted another bundle as release {floor.release} of "
            f"{manifest.task}",
            advice="release the new one with a higher number",
        )


def admit(manifest: bundle_pb2.Manifest, memory_bytes: int) -> int:
    """Return the largest capacity that a memory budget admits.

    Args:
        manifest: the bundle's manifest.
        memory_bytes: the memory that a loaded capacity may occupy, in bytes.

    Raises:
        AdmissionError: not even capacity 1 fits.
    """
    capacity = largest_capacity(memory_needed(manifest), memory_bytes)
    if capacity == 0:
        raise AdmissionError(
            f"a budget of {memory_bytes} bytes admits no capacity of {manifest.task}: the smallest "
            f"needs {manifest.capacities[0].memory_bytes} bytes",
            advice="raise the memory budget",
        )
    return capacity


def needed_blobs(
    manifest: bundle_pb2.Manifest, capacity: int, activations: Activations
) -> list[bundle_pb2.Blob]:
    """Return the blobs that a device needs for capacities 1 to `capacity`, except the manifest.

    Args:
        manifest: the bundle's manifest.
        capacity: the largest capacity that the device holds.
        activations: the activation type of the templates (ONNX graphs).
    """
    return [*shared_blobs(manifest), *rings_and_templates(manifest, capacity, activations)]
