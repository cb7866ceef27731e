"""Do meter and source answer, where that can be tried without taking anything away?"""

import os
from pathlib import Path

from nestling_device.doctor.finding import CheckedDevice, Finding, failing
from nestling_device.energy.measured_costs import read_costs
from nestling_device.hardware.i2c import open_bus
from nestling_device.hardware.machine import machine_name
from nestling_device.hardware.resources import POWER_SUPPLIES, battery_charge
from nestling_device.runtime.open_instrument import open_instrument
from nestling_device.sources.camera import open_camera
from nestling_device.sources.imu import find_imu
from nestling_device.sources.recorded import read_recording
from nestling_device.sources.source import SourceError
from nestling_device.storage.snapshot import read_bundle


def meter(subject: CheckedDevice) -> Finding:
    """Take a reading."""
    kind = subject.config.meter.kind
    if kind == "profile":
        board = subject.config.board.profile
        return Finding(
            check="meter", level="ok", found=f"energy is modelled from the powers of a {board}"
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
        advice = "nestling-device profile --write: without it the readings do not count"
        return Finding(check="meter", level="warn", found=found, advice=advice)
    return Finding(check="meter", level="ok", found=found)


def battery(subject: CheckedDevice, supplies: Path = POWER_SUPPLIES) -> Finding:
    """Read the battery that the machine runs on."""
    name = subject.config.board.battery
    if name and not (supplies / name).is_dir():
        return Finding(
            check="battery",
            level="fail",
            found=f"there is no {supplies / name}",
            advice=f"ls {supplies} shows what there is; correct [board] battery",
        )
    found = f"{battery_charge(supplies, name):.0%} full; a machine without a battery counts as full"
    return Finding(check="battery", level="ok", found=found)


def source(subject: CheckedDevice) -> Finding:
    """Look whether inputs can come."""
    table = subject.config.source
    if table.kind == "golden":
        return Finding(check="source", level="ok", found="the bundle's golden inputs")
    if subject.running and table.kind in {"socket", "camera", "imu"}:
        found = f"{table.kind}: in use by the device that runs"
        return Finding(check="source", level="ok", found=found)
    with failing("source"):
        found = _try(subject)
    return Finding(check="source", level="ok", found=found)


def _try(subject: CheckedDevice) -> str:
    table = subject.config.source
    if table.kind == "camera":
        open_camera(table.camera).close()
        return "a camera is there"
    if table.kind == "imu":
        bus = open_bus(table.i2c_bus)
        try:
            find_imu(bus, table.i2c_address)
        finally:
            bus.close()
        return f"an MPU-6050 answers at {table.i2c_address:#x}"
    if table.kind == "recording":
        return _try_recording(subject, table.place)
    # A folder is watched and its files are moved; a socket is made in its folder.
    folder = table.place if table.kind == "folder" else table.place.parent
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise SourceError(
            f"{folder} is no folder that can be written; make it, or name another in [source] path"
        )
    return f"{table.kind} {table.place}"


def _try_recording(subject: CheckedDevice, path: Path) -> str:
    bundle = read_bundle(subject.state_dir)
    if bundle is None:
        return f"recording {path}; whether it fits shows when a bundle is there"
    windows = read_recording(path, subject.manifest(bundle).signature.shape)
    return f"recording {path}, {len(windows)} windows"
