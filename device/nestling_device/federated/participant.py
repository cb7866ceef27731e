"""Describes this device as a participant in federated rounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestling.v1.bundle_pb2 import Manifest
from nestling_core.kinds.kind import name_of
from nestling_core.kinds.labels import SingleLabel
from nestling_core.nest.bundle_files import memory_needed
from nestling_core.network.address import Address
from nestling_core.routing.admission import largest_capacity
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.release_rules import parse_manifest
from nestling_device.errors import DeviceError
from nestling_device.federated.examples import LocalExamples, read_examples
from nestling_device.storage.state import State
from nestling_device.transport.identity import Identity

_KEYS = ("id", "state", "data", "memory-kb")


class ClientError(DeviceError):
    """Raised when a device cannot take part in a round.

    Either the device is not set up, or the cloud's message does not fit the device.
    """


@dataclass(frozen=True, kw_only=True)
class Node:
    """A device that takes part in federated rounds.

    Flower calls such a participant a node.

    Attributes:
        device: the device's name.
        bundle_version: the version of the bundle that the device runs.
        manifest: the manifest of that bundle.
        capacity: the largest capacity that the device's memory budget admits, or 0 if it admits
            none.
        examples: the device's labeled examples.
        cloud: the address of the cloud, which may be asked about held-out inputs, or None if no
            input may leave the device.
        identity: the device's identity for TLS, or None if it has not enrolled.
    """

    device: str
    bundle_version: str
    manifest: Manifest
    capacity: int
    examples: LocalExamples
    cloud: Address | None
    identity: Identity | None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Node":
        """Return the node that a Flower configuration describes.

        The method reads the state folder and the examples that the configuration names.

        Args:
            config: a mapping with the keys `id` (the device's name), `state` (the path of its state
                folder), `data` (the path of the .npz file with its examples) and `memory-kb` (its
                memory budget, in kB of 1000 bytes), and optionally `cloud` (the address of the
                cloud; without it, the cloud is not asked about held-out inputs).

        Raises:
            ClientError: a key or the state folder is missing, the device has no bundle yet, or the
                bundle's task is not a single-label task.
            DeviceError: the state folder, the manifest or the examples cannot be read.
        """
        missing = [name for name in _KEYS if name not in config]
        if missing:
            raise ClientError(f"the node's configuration lacks {', '.join(missing)}")
        folder = Path(str(config["state"]))
        if not (folder / "state.db").is_file():
            raise ClientError(
                f"{folder} is not a device's state folder", advice="run nestling-device run first"
            )
        with State(folder) as state:
            active = state.active()
        if active is None:
            raise ClientError(f"{folder} has no bundle yet", advice="run nestling-device run first")
        manifest = parse_manifest(BlobStore(folder / "blobs").read(active.manifest))
        signature = manifest.signature
        if name_of(signature) != SingleLabel.name:
            raise ClientError(
                f"the bundle is of the kind {name_of(signature)!r}",
                advice="federated learning works only with single-label tasks",
            )
        memory_bytes = int(float(config["memory-kb"]) * 1000)
        return cls(
            device=str(config["id"]),
            bundle_version=active.version,
            manifest=manifest,
            capacity=largest_capacity(memory_needed(manifest), memory_bytes),
            examples=read_examples(
                Path(str(config["data"])), signature.shape, len(signature.classes)
            ),
            cloud=Address.parse(str(config["cloud"])) if config.get("cloud") else None,
            identity=Identity.load(folder),
        )
