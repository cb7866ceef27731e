"""Defines the subject and the result of a check of `nestling-device doctor`."""

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
        check: the name of the check.
        level: the severity of the result. With "fail", the device cannot run or cannot use its
            cloud. With "warn", it can do both.
        found: a description of what was found.
        advice: the advice on what to do, or "" if nothing is wrong.
    """

    check: str
    level: Level
    found: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckedDevice:
    """The device to check.

    Attributes:
        config: the device's configuration, completed with the values that enrolment stored.
        identity: the device's TLS identity, or None if the device has not enrolled.
        running: whether the device is running now.
        activations: the integer type of activations that suits the device's processor.
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
        """The store of the device's blobs, which are the files of its bundles."""
        return BlobStore(self.state_dir / "blobs")

    def manifest(self, bundle: BundleSnapshot) -> Manifest:
        """Return the manifest of an installed bundle.

        Raises:
            DeliveryError: the manifest is missing or damaged, or this program does not know its
                format.
        """
        blob = Blob(sha256=bundle.sha256, size=bundle.size)
        return parse_manifest(self.blobs.read(blob))


Check = Callable[[CheckedDevice], Finding]


class FailedCheckError(DeviceError):
    """Raised when a check cannot be completed.

    Attributes:
        finding: the result of the check.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.found, advice=finding.advice)
        self.finding = finding


@contextmanager
def failing(check: str, level: Level = "fail") -> Iterator[None]:
    """Turn a DeviceError that the block raises into a FailedCheckError.

    Args:
        check: the name of the check.
        level: the severity of the finding.

    Raises:
        FailedCheckError: the block raised a DeviceError. The finding has the error's problem and
            advice.
    """
    try:
        yield
    except DeviceError as err:
        finding = Finding(check=check, level=level, found=err.problem, advice=err.advice)
        raise FailedCheckError(finding) from err
