"""A device that the doctor's checks can be run on, and the finding of a check."""

from pathlib import Path

from nestling_device.bundle.self_test import self_test
from nestling_device.config.schema import Config, with_values
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.installer import Installer
from nestling_device.doctor.finding import Check, CheckedDevice, FailedCheckError, Finding
from nestling_device.energy.meter import ProfileMeter
from nestling_device.energy.power_tables import load_board, load_link
from nestling_device.storage.state import State
from nestling_device.transport.identity import Identity
from tests.support.hand_bundle import MACS, hand_bundle
from tests.support.memory_source import MemorySource

_BOARD = Config().board
_METER = ProfileMeter(load_board(_BOARD.profile), load_link(_BOARD.link))
CAPACITY_MJ = tuple(_METER.estimate(macs).energy_mj for macs in MACS)


def subject(folder: Path, identity: Identity | None = None, **keys: object) -> CheckedDevice:
    """Return a device with its state in a folder; configuration keys are written table__key."""
    values = {tuple(name.split("__")): value for name, value in keys.items()}
    config = with_values(
        Config(), {("device", "state"): str(folder)} | {(t, k): v for (t, k), v in values.items()}
    )
    return CheckedDevice(config=config, identity=identity, running=False, activations="uint8")


def finding(check: Check, checked: CheckedDevice) -> Finding:
    try:
        return check(checked)
    except FailedCheckError as err:
        return err.finding


def install(folder: Path, **replaced: bytes) -> None:
    source = MemorySource()
    manifest, blobs = hand_bundle(1, **replaced)
    source.release(manifest, dict(blobs))
    with State(folder) as opened:
        Installer(opened, BlobStore(folder / "blobs"), source, self_test, "uint8").install(10**6)
