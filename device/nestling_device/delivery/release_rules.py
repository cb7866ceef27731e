"""Which bundle a device may take, and how much of it: every rule, and no I/O."""

from google.protobuf.message import DecodeError

from nestling.v1 import bundle_pb2, delivery_pb2
from nestling_core.nest.bundle_files import (
    MANIFEST_FORMAT,
    Activations,
    admitted_capacity,
    bundle_version,
    every_blob,
    is_digest,
    rings_and_templates,
    shared_blobs,
)
from nestling_core.nest.layout import NestError, check_layout
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.storage.state import BundleRecord, ReleaseFloor

# What the state file can count to.
LARGEST_RELEASE = 2**63 - 1
# A manifest is read into memory before anything about it is known.
LARGEST_MANIFEST_BYTES = 1 << 20


class AdmissionError(DeliveryError):
    """A bundle that this device must not or cannot take."""


class UnknownFormatError(AdmissionError):
    """A manifest of another format than this program's."""


def check_offer(desired: delivery_pb2.GetDesiredBundleResponse) -> None:
    """Raise AdmissionError unless the manifest offered is one worth downloading."""
    if not is_digest(desired.manifest.sha256) or desired.manifest.size == 0:
        raise AdmissionError("the cloud offers a bundle without a manifest; release it again")
    if desired.manifest.size > LARGEST_MANIFEST_BYTES:
        raise AdmissionError(
            f"the manifest offered has {desired.manifest.size} bytes, more than the "
            f"{LARGEST_MANIFEST_BYTES} that a device reads"
        )


def parse_manifest(data: bytes) -> bundle_pb2.Manifest:
    """Read a manifest and check that it hangs together.

    Raises:
        AdmissionError: the bytes are no manifest, or one that this program does not know.
    """
    try:
        manifest = bundle_pb2.Manifest.FromString(data)
    except DecodeError as err:
        raise AdmissionError("the manifest cannot be read; release the bundle again") from err
    if manifest.format != MANIFEST_FORMAT:
        raise UnknownFormatError(
            f"the manifest has format {manifest.format} and this program knows "
            f"{MANIFEST_FORMAT}; update the program or release for its format"
        )
    _check_nest(manifest)
    named = every_blob(manifest)
    if not all(is_digest(blob.sha256) for blob in named):
        raise AdmissionError("the manifest names a blob without a SHA-256; release it again")
    return manifest


def _check_nest(manifest: bundle_pb2.Manifest) -> None:
    try:
        check_layout(manifest.tensors)
    except NestError as err:
        raise AdmissionError(f"the manifest's nest is wrong: {err}") from err
    if len(manifest.tensors[0].prefixes) != len(manifest.capacities):
        raise AdmissionError(
            f"the manifest has {len(manifest.capacities)} capacities and prefixes for "
            f"{len(manifest.tensors[0].prefixes)}"
        )


def check_release(
    manifest: bundle_pb2.Manifest,
    desired: delivery_pb2.GetDesiredBundleResponse,
    *,
    active: BundleRecord | None,
    floor: ReleaseFloor | None,
) -> None:
    """Decide whether a device may go over to a release.

    Args:
        manifest: of the release.
        desired: what the cloud said about it.
        active: what the device runs now.
        floor: the newest release of the manifest's task that it ever accepted.

    Raises:
        AdmissionError: another task, an older release, or a cloud that contradicts itself.
    """
    if manifest.release > LARGEST_RELEASE:
        raise AdmissionError(f"release {manifest.release} is more than a device can count to")
    version = bundle_version(manifest, desired.manifest)
    if (desired.release, desired.bundle_version) != (manifest.release, version):
        raise AdmissionError(
            f"the cloud calls it {desired.bundle_version!r}, its manifest says {version!r}"
        )
    if active is not None and active.task != manifest.task:
        raise AdmissionError(
            f"this device runs task {active.task!r} and is offered {manifest.task!r}; give the "
            "other task a state folder of its own"
        )
    if floor is None or manifest.release > floor.release:
        return
    if manifest.release < floor.release:
        raise AdmissionError(
            f"release {manifest.release} of {manifest.task} is older than {floor.release}, which "
            "this device accepted before; release it again with a higher number"
        )
    if desired.manifest.sha256 != floor.manifest_sha256:
        raise AdmissionError(
            f"this device knows another bundle as release {floor.release} of {manifest.task}; "
            "release the new one with a higher number"
        )


def admit(manifest: bundle_pb2.Manifest, memory_bytes: int) -> int:
    """Largest capacity that a memory budget admits.

    Raises:
        AdmissionError: not even capacity 1 fits.
    """
    capacity = admitted_capacity(manifest, memory_bytes)
    if capacity == 0:
        raise AdmissionError(
            f"a budget of {memory_bytes} bytes admits no capacity of {manifest.task}: the smallest "
            f"needs {manifest.capacities[0].memory_bytes}; raise the memory budget"
        )
    return capacity


def needed_blobs(
    manifest: bundle_pb2.Manifest, capacity: int, activations: Activations
) -> list[bundle_pb2.Blob]:
    """List what a device that holds capacities 1 to `capacity` needs besides the manifest."""
    return [*shared_blobs(manifest), *rings_and_templates(manifest, capacity, activations)]
