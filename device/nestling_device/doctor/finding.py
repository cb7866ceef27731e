"""The subject and the result of a check."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nestling.v1.bundle_pb2 import Blob, Manifest
from nestling_core.nest.bundle_files import Activations
from nestling_device.config.schema import Config
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.release_rules import parse_manifest
from nestling_device.errors import DeviceError
from nestling_device.storage.snapshot import BundleSnapshot
from nestling_device.transport.identity import Identity

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
        check: name of the check.
        level: "fail" keeps the device from running or from its cloud, "warn" does not.
        found: what is there, or what is wrong.
        advice: what to do; empty if nothing is wrong.
    """

    check: str
    level: Level
    found: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckedDevice:
    """The device to check.

    Attributes:
        config: its configuration, completed with what enrolment stored.
        identity: its TLS identity, None if it has not enrolled.
        running: whether it is running now.
        activations: integer type of the activations that suits its processor.
    """

    config: Config
    identity: Identity | None
    running: bool
    activations: Activations

    @property
    def state_dir(self) -> Path:
        """The state folder of the device."""
        return Path(self.config.device.state)

    @property
    def blobs(self) -> BlobStore:
        """The blob store of the device."""
        return BlobStore(self.state_dir / "blobs")

    def manifest(self, bundle: BundleSnapshot) -> Manifest:
        """Read the manifest of an installed bundle.

        Raises:
            DeliveryError: the manifest is missing or damaged.
        """
        blob = Blob(sha256=bundle.sha256, size=bundle.size)
        return parse_manifest(self.blobs.read(blob))


Check = Callable[[CheckedDevice], Finding]


class FailedCheckError(DeviceError):
    """A check ended early.

    Attributes:
        finding: the result of the check.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.found, advice=finding.advice)
        self.finding = finding


@contextmanager
def failing(check: str, level: Level = "fail") -> Iterator[None]:
    """Turn a DeviceError in the block into a finding.

    Args:
        check: name of the check.
        level: level of the finding.

    Raises:
        FailedCheckError: the block raised DeviceError; carries the finding.
    """
    try:
        yield
    except DeviceError as err:
        finding = Finding(check=check, level=level, found=err.problem, advice=err.advice)
        raise FailedCheckError(finding) from err
