"""Opens the input source that the configuration names."""

from pathlib import Path

from nestling.v1.bundle_pb2 import Manifest
from nestling_core.media.front_end import PICTURE, SOUND
from nestling_device.config.schema import SourceTable
from nestling_device.hardware.i2c import open_bus
from nestling_device.runtime.device import Device
from nestling_device.sources.camera import Camera, open_camera
from nestling_device.sources.cursor import Cursor
from nestling_device.sources.imu import Imu
from nestling_device.sources.media_reader import MediaReader, is_media_file
from nestling_device.sources.replay import Replay, read_golden, read_recording
from nestling_device.sources.source import Source, SourceError, readable_name
from nestling_device.sources.unix_socket import UnixSocket
from nestling_device.sources.watched_folder import WatchedFolder


def open_source(table: SourceTable, device: Device, state_dir: Path) -> Source:
    """Open the source that a configuration names.

    The caller closes it.

    Args:
        table: the configuration's table `[source]`.
        device: the device, whose bundle determines the shape and units of inputs.
        state_dir: the folder in which a source keeps its position across restarts.

    Raises:
        DeviceError: the source cannot be read, or its inputs do not fit the task.
    """
    manifest = device.bundle.manifest
    shape = tuple(manifest.signature.shape)
    match table.kind:
        case "recording":
            return _replay(table.place, device)
        case "folder":
            return WatchedFolder(
                table.place,
                shape,
                cursor=Cursor(state_dir),
                written=lambda: device.receipts_written,
                keep_answered=table.keep_answered,
                media=_media(device),
            )
        case "socket":
            return UnixSocket(table.place, shape)
        case "camera":
            return Camera(open_camera(table.camera), shape, lambda: device.bundle.front_end)
        case "imu":
            return _imu(table, manifest)
        case _:
            return Replay(read_golden(manifest, device.blobs))


def _replay(path: Path, device: Device) -> Replay:
    """Return a source that replays an array of inputs, or one picture or sound."""
    signature = device.bundle.manifest.signature
    name = readable_name(path.name)
    if is_media_file(path, signature):
        return Replay(_reader(device).read_file(path)[None], name)
    return Replay(read_recording(path, tuple(signature.shape)), name)


def _media(device: Device) -> MediaReader | None:
    """Return the reader of the files that the task takes, or None if it takes arrays only."""
    is_media = device.bundle.manifest.signature.media in {PICTURE, SOUND}
    return _reader(device) if is_media else None


def _reader(device: Device) -> MediaReader:
    return MediaReader(device.bundle.manifest.signature, lambda: device.bundle.front_end)


def _imu(table: SourceTable, manifest: Manifest) -> Imu:
    signature = manifest.signature
    if len(signature.shape) != 2:
        raise SourceError(
            f"the task takes float32 {tuple(signature.shape)}",
            advice="an IMU gives (channels, samples)",
        )
    return Imu(
        open_bus(table.i2c_bus),
        address=table.i2c_address,
        rate_hz=table.rate_hz,
        length=signature.shape[1],
        channels=signature.channels,
        units=signature.units,
    )
