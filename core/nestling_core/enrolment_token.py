"""Defines the enrolment token, with which a new device and its cloud authenticate each other.

A token is one line of base64url. It contains a version, the device's name, a one-time secret, and
the certificate (DER) of the authority that must have signed the cloud's own certificate.
"""

import base64
import re
from dataclasses import dataclass
from typing import Self

from nestling.topics import check_device_id

SECRET_BYTES = 32
_VERSION = 1
_MAX_CHARACTERS = 4096


@dataclass(frozen=True, kw_only=True)
class EnrolmentToken:
    """A one-time permission for one device to join the fleet.

    Attributes:
        device_id: the name that the device will have in the fleet.
        secret: the one-time secret that the device sends to the cloud. It has `SECRET_BYTES` bytes.
        authority: the certificate of the fleet's authority, in DER.
    """

    device_id: str
    secret: bytes
    authority: bytes

    def to_text(self) -> str:
        """Return the token as one line of base64url."""
        name = self.device_id.encode()
        data = bytes([_VERSION, len(name)]) + name + self.secret + self.authority
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the token encoded in a text that `to_text` returned.

        White space in the text is ignored, because a terminal may insert some when it wraps the
        line.

        Raises:
            ValueError: the text is not a token, is truncated, or has an unknown version.
        """
        packed = re.sub(r"\s", "", text)
        if len(packed) > _MAX_CHARACTERS or not re.fullmatch(r"[A-Za-z0-9_-]{4,}", packed):
            raise ValueError("this is not an enrolment token: copy the whole line")
        try:
            data = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
            end = 2 + data[1]
            device_id = check_device_id(data[2:end].decode())
        except ValueError:
            raise ValueError("this is not an enrolment token: copy the whole line") from None
        secret, authority = data[end : end + SECRET_BYTES], data[end + SECRET_BYTES :]
        if data[0] != _VERSION or not _is_whole_der(authority):
            raise ValueError(
                "this enrolment token is truncated or has another version: copy the whole line"
            )
        return cls(device_id=device_id, secret=secret, authority=authority)


def _is_whole_der(data: bytes) -> bool:
    """Return whether `data` is one complete DER sequence with a two-byte length.

    The certificate in a token is such a sequence.
    """
    return data[:2] == b"\x30\x82" and len(data) == 4 + int.from_bytes(data[2:4], "big")
