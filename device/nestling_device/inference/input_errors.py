"""Holds the errors for inputs that cannot be answered."""

from nestling_device.errors import DeviceError


class InputError(DeviceError):
    """Raised when an input cannot be answered, as when its shape does not fit the task."""


class UnanswerableError(InputError):
    """Raised when an input has the right shape but no answer.

    The input itself or the student's output for it is not finite. Other inputs are not affected.
    """
