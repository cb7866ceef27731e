"""What a check found."""

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
    """One check's outcome.

    Attributes:
        check: its name.
        level: "warn" does not keep the device from running, "fail" does.
        found: what is there, or wrong.
        advice: what to do; empty if all is well.
    """

    check: str
    level: Level
    found: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckedDevice:
    """The device that is looked at.

    Attributes:
        config: complete as far as it is known.
        identity: None if it has not enrolled.
        running: whether it runs now.
        activations: that its processor is made for.
    """

    config: Config
    identity: Identity | None
    running: bool
    activations: Activations

    @property
    def state_dir(self) -> Path:
        """Its state folder."""
        return Path(self.config.device.state)

    @property
    def blobs(self) -> BlobStore:
        """Its blobs."""
        return BlobStore(self.state_dir / "blobs")

    def manifest(self, bundle: BundleSnapshot) -> Manifest:
        """Read the manifest of its bundle; raises DeliveryError where it is damaged."""
        blob = Blob(sha256=bundle.sha256, size=bundle.size)
        return parse_manifest(self.blobs.read(blob))


Check = Callable[[CheckedDevice], Finding]


class FailedCheckError(DeviceError):
    """A check that ended early, with what it found."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.found)
        self.finding = finding


def split_advice(err: DeviceError) -> tuple[str, str]:
    """Take an error's text apart: what is wrong; what to do."""
    found, _, advice = str(err).rpartition("; ")
    return (found, advice) if found else (advice, "")


@contextmanager
def failing(check: str, level: Level = "fail") -> Iterator[None]:
    """Make a finding of what the device itself would say.

    Raises:
        FailedCheckError: with the finding.
    """
    try:
        yield
    except DeviceError as err:
        found, advice = split_advice(err)
        finding = Finding(check=check, level=level, found=found, advice=advice)
        raise FailedCheckError(finding) from err
