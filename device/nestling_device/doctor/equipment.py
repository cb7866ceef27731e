"""Checks the power instrument, the battery and the source of inputs.

The checks do not disturb a running device.
"""

import os
from pathlib import Path

from nestling_core.media.front_end import PICTURE, SOUND
from nestling_device.bundle.loaded_bundle import open_front_end
from nestling_device.doctor.finding import CheckedDevice, Finding, failing
from nestling_device.energy.measured_costs import read_costs
from nestling_device.hardware.i2c import open_bus
from nestling_device.hardware.machine import machine_name
from nestling_device.hardware.resources import POWER_SUPPLIES, battery_charge
from nestling_device.runtime.open_instrument import open_instrument
from nestling_device.sources.camera import open_camera
from nestling_device.sources.imu import find_imu
from nestling_device.sources.media_reader import MediaReader, is_media_file
from nestling_device.sources.replay import read_recording
from nestling_device.sources.source import SourceError
from nestling_device.storage.snapshot import read_bundle


def meter(subject: CheckedDevice) -> Finding:
    """Return a finding that says whether the power instrument can be read and is used.

    A device uses the readings only after `nestling-device profile --write` has measured with the
    same kind of instrument.
    """
    kind = subject.config.meter.kind
    if kind == "profile":
        board = subject.config.board.profile
        return Finding(
            check="meter", level="ok", found=f"energy is modelled from the power table of {board}"
        )
    with failing("meter", "warn"):
        instrument = open_instrument(subject.config.meter)
        assert instrument is not None
        try:
            watts = instrument.watts()
        finally:
            instrument.close()
    found = f"{kind} reads {watts:.2f} W"
    costs = read_costs(subject.state_dir, machine_name())
    if costs is None or costs.meter != kind:
        advice = "run nestling-device profile --write: readings are not used before that"
        return Finding(check="meter", level="warn", found=found, advice=advice)
    return Finding(check="meter", level="ok", found=found)


def battery(subject: CheckedDevice, supplies: Path = POWER_SUPPLIES) -> Finding:
    """Return a finding that states the charge of the battery.

    The check fails if the configured battery does not exist. A machine without a battery counts as
    fully charged.

    Args:
        subject: the device to check.
        supplies: the folder in which the kernel lists power supplies.
    """
    name = subject.config.board.battery
    if name and not (supplies / name).is_dir():
        return Finding(
            check="battery",
            level="fail",
            found=f"{supplies / name} does not exist",
            advice=f"correct [board] battery: ls {supplies} lists the batteries",
        )
    found = f"{battery_charge(supplies, name):.0%} full; a machine without a battery counts as full"
    return Finding(check="battery", level="ok", found=found)


def source(subject: CheckedDevice) -> Finding:
    """Return a finding that says whether the source of inputs can be used.

    If the device is running, its socket, camera or sensor is not opened.
    """
    table = subject.config.source
    if table.kind == "golden":
        return Finding(check="source", level="ok", found="the bundle's golden inputs")
    if subject.running and table.kind in {"socket", "camera", "imu"}:
        found = f"{table.kind}: in use by the running device"
        return Finding(check="source", level="ok", found=found)
    with failing("source"):
        found = _try(subject)
    return Finding(check="source", level="ok", found=found)


def _try(subject: CheckedDevice) -> str:
    table = subject.config.source
    if table.kind == "camera":
        open_camera(table.camera).close()
        return "a camera is connected"
    if table.kind == "imu":
        bus = open_bus(table.i2c_bus)
        try:
            find_imu(bus, table.i2c_address)
        finally:
            bus.close()
        return f"an MPU-6050 answers at {table.i2c_address:#x}"
    if table.kind == "recording":
        return _try_recording(subject, table.place)
    # Files are moved within a watched folder, and a socket is created in its folder.
    folder = table.place if table.kind == "folder" else table.place.parent
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise SourceError(
            f"{folder} is not a writable folder",
            advice="create it, or name another in [source] path",
        )
    if table.kind == "folder":
        _media(subject)  # whether what reads pictures is installed
    return f"{table.kind} {table.place}"


def _try_recording(subject: CheckedDevice, path: Path) -> str:
    bundle = read_bundle(subject.state_dir)
    if bundle is None:
        return f"recording {path}; it can be checked once a bundle is installed"
    signature = subject.manifest(bundle).signature
    media = _media(subject) if is_media_file(path, signature) else None
    if media is not None:
        media.read_file(path)
        return f"recording {path}, one {signature.media}"
    windows = read_recording(path, signature.shape)
    return f"recording {path}, {len(windows)} windows"


def _media(subject: CheckedDevice) -> MediaReader | None:
    """Return the reader of the pictures or sounds that the installed bundle takes, if any."""
    bundle = read_bundle(subject.state_dir)
    if bundle is None:
        return None
    manifest = subject.manifest(bundle)
    if manifest.signature.media not in {PICTURE, SOUND}:
        return None
    front_end = open_front_end(manifest, subject.blobs)
    return MediaReader(manifest.signature, lambda: front_end)
