"""Defines the errors for inputs that cannot be answered."""

from nestling_device.errors import DeviceError


class InputError(DeviceError):
    """Raised when an input cannot be answered, for example because of its shape."""


class UnanswerableError(InputError):
    """Raised when an input has the right shape but cannot be answered.

    The reason is a value that is not finite, in the input or in the student's output. Other inputs
    can still be answered.
    """
