"""Runs the tests as if Mosquitto were not installed."""

import ctypes
import os

import pytest

from tests.support.needs import MOSQUITTO

_NEW_MOUNT_NAMESPACE = 0x00020000
_PRIVATE = 1 << 18 | 1 << 14  # MS_PRIVATE | MS_REC
_BIND = 1 << 12
_LIBC = ctypes.CDLL(None, use_errno=True)


def hide_mosquitto() -> None:
    """Hide the broker's program from this process and its children, but not its clients.

    Other processes are not affected: the file is covered in a new mount namespace. Call this before
    any thread is started.

    Raises:
        pytest.UsageError: the tests do not run as root.
    """
    try:
        _check(_LIBC.unshare(_NEW_MOUNT_NAMESPACE))
        _check(_LIBC.mount(None, b"/", None, _PRIVATE, None))
        while found := MOSQUITTO.find():
            _check(_LIBC.mount(b"/dev/null", os.fsencode(found.resolve()), None, _BIND, None))
    except PermissionError as err:
        raise pytest.UsageError(f"--without-mosquitto needs root: {err.strerror}") from err


def _check(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
