"""Is the state folder fit: writable, roomy, with an identity and a bundle that work?"""

import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta

from nestling_device.bundle.self_test import self_test
from nestling_device.doctor.finding import CheckedDevice, Finding, failing
from nestling_device.storage.snapshot import read_bundle, read_outbox

# An outbox that is full takes about so much; a bundle is smaller.
_ROOM_BYTES = 100_000_000
# A running device renews its certificate when a third of its life is left, long before this.
_SOON = timedelta(days=14)


def folder(subject: CheckedDevice) -> Finding:
    """Try to write, and look how much room there is."""
    check, place = "state folder", subject.state_dir
    # One that is not there yet is made by the device, not by us, who may be another user.
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
            advice="run this as the user that the device runs as, or see to the folder",
        )
    found = f"{place}, {free / 1e6:.0f} MB free"
    if os.geteuid() == 0 and owner != 0:
        found = f"{found}; root may write there, which says nothing about its owner"
        advice = "sudo -u nestling nestling-device doctor"
        return Finding(check=check, level="warn", found=found, advice=advice)
    if free < _ROOM_BYTES:
        advice = f"make room: a full outbox and a bundle need {_ROOM_BYTES / 1e6:.0f} MB"
        return Finding(check=check, level="warn", found=found, advice=advice)
    return Finding(check=check, level="ok", found=found)


def identity(subject: CheckedDevice, now: datetime | None = None) -> Finding:
    """Look at the certificate and the clock."""
    now = now or datetime.now(UTC)
    held = subject.identity
    if held is None:
        return Finding(
            check="identity",
            level="warn",
            found="this device has not enrolled; it can speak to a cloud on this machine only",
            advice="nestling-device enrol, with a token of nestling-cloud device add",
        )
    if now < held.begins:
        return Finding(
            check="identity",
            level="fail",
            found=f"the clock says {now:%Y-%m-%d %H:%M} UTC, before the certificate was made",
            advice="set the clock: timedatectl set-ntp true",
        )
    left = held.ends - now
    found = f"{held.device_id}, until {held.ends:%Y-%m-%d %H:%M} UTC"
    if left <= timedelta(0):
        return Finding(
            check="identity",
            level="fail",
            found=f"{found}: over",
            advice="check the clock; nestling-device enrol with a new token",
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
    """Run the installed bundle's self-test again."""
    with failing("bundle"):
        held = read_bundle(subject.state_dir)
        if held is None:
            return Finding(
                check="bundle",
                level="warn",
                found="none is installed yet",
                advice="nestling-device run fetches it at its start",
            )
        self_test(subject.manifest(held), held.capacity, subject.blobs, subject.activations)
    return Finding(
        check="bundle",
        level="ok",
        found=f"{held.version}, capacities 1 to {held.capacity}, answers its golden inputs right",
    )


def outbox(subject: CheckedDevice) -> Finding:
    """Look whether receipts pile up."""
    with failing("outbox"):
        held = read_outbox(subject.state_dir)
    if held is None:
        return Finding(check="outbox", level="ok", found="none yet")
    found = f"{held.depth} receipts wait, {held.acknowledged} of {held.written} acknowledged"
    dropped = held.written - held.acknowledged - held.depth
    if dropped > 0:
        found = f"{found}; it is full, and {dropped} that were not acknowledged were dropped"
    if dropped > 0 or held.depth > 1000:
        advice = "receipts do not get through: see what is said of the broker and the cloud"
        return Finding(check="outbox", level="warn", found=found, advice=advice)
    return Finding(check="outbox", level="ok", found=found)
