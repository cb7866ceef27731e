"""A blob source in memory with scripted network faults, and a small bundle for it."""

from collections.abc import Iterator

import numpy as np

from nestling.v1 import bundle_pb2, delivery_pb2
from nestling_core.nest.bundle_files import MANIFEST_FORMAT, blob_of, bundle_version
from nestling_core.nest.layout import ring_bytes
from nestling_device.delivery.bundle_source import DeliveryError, SourceUnreachableError

CHUNK_BYTES = 64
# Resident bytes of the small bundle's capacities.
CAPACITY_BYTES = (1000, 2000, 4000)


class MemorySource:
    """Serves blobs from a dictionary; passes the contract suite of blob sources."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.desired: delivery_pb2.GetDesiredBundleResponse | None = None
        self.fetched: list[tuple[str, int]] = []  # (sha256, offset) of every fetch
        self.break_after: int | None = None  # the next fetch fails after so many bytes
        self.strict = True  # check sizes, as the real sources do
        self._bytes_received = 0

    @property
    def bytes_received(self) -> int:
        return self._bytes_received

    def desired_bundle(self, active_version: str) -> delivery_pb2.GetDesiredBundleResponse:
        if self.desired is None:
            raise DeliveryError("no bundle has been released yet")
        self._bytes_received += self.desired.ByteSize()
        return self.desired

    def fetch(self, blob: bundle_pb2.Blob, offset: int) -> Iterator[bytes]:
        self.fetched.append((blob.sha256, offset))
        left, self.break_after = self.break_after, None
        data = self.blobs.get(blob.sha256)
        if data is None:
            raise DeliveryError(f"no blob {blob.sha256[:12]}")
        if self.strict and len(data) != blob.size:
            raise DeliveryError(f"{len(data)} bytes instead of the {blob.size} in the manifest")
        for start in range(offset, len(data), CHUNK_BYTES):
            chunk = data[start : start + CHUNK_BYTES]
            if left is not None and left <= 0:
                raise SourceUnreachableError("the connection broke")
            if left is not None:
                chunk = chunk[:left]
                left -= len(chunk)
            self._bytes_received += len(chunk)
            yield chunk

    def close(self) -> None:
        pass

    def release(
        self, manifest: bundle_pb2.Manifest, blobs: dict[str, bytes]
    ) -> delivery_pb2.GetDesiredBundleResponse:
        """Serve blobs, and a manifest as the desired bundle.

        Args:
            manifest: the manifest.
            blobs: bytes by SHA-256.
        """
        data = manifest.SerializeToString(deterministic=True)
        blob = blob_of(data)
        self.blobs |= {**blobs, blob.sha256: data}
        self.desired = delivery_pb2.GetDesiredBundleResponse(
            bundle_version=bundle_version(manifest, blob), release=manifest.release, manifest=blob
        )
        return self.desired


def _calibration(release: int) -> bytes:
    """Return a valid calibration, because the cloud reads its guarantees."""
    points = [
        bundle_pb2.OperatingPoint(offload_share=share, accuracy=0.5 + share / 4)
        for share in (0.0, 1.0)
    ]
    curves = [bundle_pb2.RoutingCurve(points=points)] * 3
    made = bundle_pb2.Calibration(curves=curves, inputs=1000 + release)
    data: bytes = made.SerializeToString()
    return data


def small_bundle(
    release: int = 1, *, task: str = "small"
) -> tuple[bundle_pb2.Manifest, dict[str, bytes]]:
    """Make a bundle of three capacities with blobs of some hundred bytes each.

    Args:
        release: number of the release; also part of the seed.
        task: name of the task.

    Returns:
        The manifest, and the bytes of its blobs by SHA-256.
    """
    rng = np.random.default_rng([release, *task.encode()])
    whole = {"weight": rng.integers(-128, 128, (16, 32), np.int8)}
    prefixes = [bundle_pb2.Prefix(shape=shape) for shape in ((4, 8), (8, 16), (16, 32))]
    layout = [bundle_pb2.NestedTensor(name="weight", prefixes=prefixes)]
    blobs: dict[str, bytes] = {}

    def add(data: bytes) -> bundle_pb2.Blob:
        blob = blob_of(data)
        blobs[blob.sha256] = data
        return blob

    capacities = [
        bundle_pb2.Capacity(
            template=add(rng.bytes(150)),
            template_int8=add(rng.bytes(150)),
            ring=add(ring_bytes(layout, whole, capacity)),
            memory_bytes=memory_bytes,
        )
        for capacity, memory_bytes in enumerate(CAPACITY_BYTES, start=1)
    ]
    manifest = bundle_pb2.Manifest(
        format=MANIFEST_FORMAT,
        task=task,
        release=release,
        tensors=layout,
        capacities=capacities,
        calibration=add(_calibration(release)),
        golden=add(rng.bytes(200)),
    )
    return manifest, blobs
