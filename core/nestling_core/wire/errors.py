"""The error of the wire forms."""


class WireError(ValueError):
    """Raised when an input cannot be encoded in a form, or when a payload cannot be decoded."""
