"""Inputs that cannot be answered."""

from nestling_device.errors import DeviceError


class InputError(DeviceError):
    """The bundle's task does not accept an input."""


class UnanswerableError(InputError):
    """An input has the right shape but no answer; other inputs are not affected."""
