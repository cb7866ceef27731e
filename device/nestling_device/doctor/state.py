"""Checks the state folder, and the identity, the bundle and the outbox in it."""

import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta

from nestling_device.bundle.self_test import self_test
from nestling_device.doctor.finding import CheckedDevice, Finding, failing
from nestling_device.storage.snapshot import read_bundle, read_outbox

# A full outbox takes about this much; a bundle is smaller.
_ROOM_BYTES = 100_000_000
# A running device renews its certificate earlier, when a third of its lifetime is left.
_SOON = timedelta(days=14)


def folder(subject: CheckedDevice) -> Finding:
    """Return a finding that says whether the state folder can be written and has enough space.

    If the folder does not exist, its parent folder is checked instead.
    """
    check, place = "state folder", subject.state_dir
    # Do not create a missing folder: the device does, perhaps as another user.
    tried = place if place.exists() else place.absolute().parent
    try:
        with tempfile.TemporaryFile(dir=tried) as file:
            file.write(b"x" * 4096)
            file.flush()
        free = shutil.disk_usage(tried).free
        owner = tried.stat().st_uid
    except OSError as err:
        return Finding(
            check=check,
            level="fail",
            found=f"{tried} cannot be written: {err.strerror}",
            advice="run this as the device's user, or correct the folder's permissions",
        )
    found = f"{place}, {free / 1e6:.0f} MB free"
    if os.geteuid() == 0 and owner != 0:
        found = f"{found}; root can write there, but the device's user may not"
        advice = "run this as the device's user: sudo -u nestling nestling-device doctor"
        return Finding(check=check, level="warn", found=found, advice=advice)
    if free < _ROOM_BYTES:
        advice = f"free some space: a full outbox and a bundle need {_ROOM_BYTES / 1e6:.0f} MB"
        return Finding(check=check, level="warn", found=found, advice=advice)
    return Finding(check=check, level="ok", found=found)


def identity(subject: CheckedDevice, now: datetime | None = None) -> Finding:
    """Return a finding that says whether the device's certificate is valid.

    The finding is a warning if the certificate expires within 14 days, or if the device has not
    enrolled.

    Args:
        subject: the device to check.
        now: the current time, with a time zone (default: the time of the clock).
    """
    now = now or datetime.now(UTC)
    own = subject.identity
    if own is None:
        return Finding(
            check="identity",
            level="warn",
            found="this device has not enrolled; it can only connect to a cloud on this machine",
            advice="run nestling-device enrol with a token from nestling-cloud device add",
        )
    if now < own.begins:
        return Finding(
            check="identity",
            level="fail",
            found=f"the clock shows {now:%Y-%m-%d %H:%M} UTC, before the certificate was issued",
            advice="set the clock: timedatectl set-ntp true",
        )
    left = own.ends - now
    ends = f"{own.ends:%Y-%m-%d %H:%M} UTC"
    found = f"{own.device_id}, valid until {ends}"
    if left <= timedelta(0):
        return Finding(
            check="identity",
            level="fail",
            found=f"{own.device_id}, expired on {ends}",
            advice="check the clock, or run nestling-device enrol with a new token",
        )
    if left < _SOON:
        return Finding(
            check="identity",
            level="warn",
            found=found,
            advice="a running device renews it; nestling-device enrol --renew does it now",
        )
    return Finding(check="identity", level="ok", found=found)


def bundle(subject: CheckedDevice) -> Finding:
    """Return a finding that says that the installed bundle passes its self-test.

    If no bundle is installed yet, the finding is a warning.

    Raises:
        FailedCheckError: the bundle cannot be read, or fails its self-test.
    """
    with failing("bundle"):
        snapshot = read_bundle(subject.state_dir)
        if snapshot is None:
            return Finding(
                check="bundle",
                level="warn",
                found="no bundle is installed yet",
                advice="nestling-device run installs one when it starts",
            )
        self_test(subject.manifest(snapshot), snapshot.capacity, subject.blobs, subject.activations)
    return Finding(
        check="bundle",
        level="ok",
        found=f"{snapshot.version}, capacities 1 to {snapshot.capacity}, passes its self-test",
    )


def outbox(subject: CheckedDevice) -> Finding:
    """Return a finding that says whether receipts pile up or were dropped."""
    with failing("outbox"):
        snapshot = read_outbox(subject.state_dir)
    if snapshot is None:
        return Finding(check="outbox", level="ok", found="no receipts yet")
    acknowledged = f"{snapshot.acknowledged} of {snapshot.written} acknowledged"
    found = f"{snapshot.depth} receipts wait, {acknowledged}"
    dropped = snapshot.written - snapshot.acknowledged - snapshot.depth
    if dropped > 0:
        found = f"{found}; the outbox was full, and {dropped} unacknowledged receipts were dropped"
    if dropped > 0 or snapshot.depth > 1000:
        advice = "receipts do not reach the cloud: see the checks of broker and cloud"
        return Finding(check="outbox", level="warn", found=found, advice=advice)
    return Finding(check="outbox", level="ok", found=found)
