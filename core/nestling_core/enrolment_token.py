"""What a new device is told so that it and its cloud can trust each other from the first word.

A token is one line of base64url: a version, the device's name, a secret that is good once, and the
certificate (DER) of the authority that the cloud's own certificate has to come from.
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
    """One device's way into the fleet."""

    device_id: str
    secret: bytes
    authority: bytes  # DER

    def to_text(self) -> str:
        """The line to hand over."""
        name = self.device_id.encode()
        data = bytes([_VERSION, len(name)]) + name + self.secret + self.authority
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a line that `to_text` wrote; white space that a terminal put in does no harm.

        Raises:
            ValueError: it is something else, or a part of it.
        """
        packed = re.sub(r"\s", "", text)
        if len(packed) > _MAX_CHARACTERS or not re.fullmatch(r"[A-Za-z0-9_-]{4,}", packed):
            raise ValueError("this is no enrolment token: copy the whole line")
        try:
            data = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
            end = 2 + data[1]
            device_id = check_device_id(data[2:end].decode())
        except ValueError:
            raise ValueError("this is no enrolment token: copy the whole line") from None
        secret, authority = data[end : end + SECRET_BYTES], data[end + SECRET_BYTES :]
        if data[0] != _VERSION or not _is_whole_der(authority):
            raise ValueError("this enrolment token is cut, or of another version: copy it whole")
        return cls(device_id=device_id, secret=secret, authority=authority)


def _is_whole_der(data: bytes) -> bool:
    """Whether a DER sequence, of 256 to 65535 bytes as a certificate has, is all there."""
    return data[:2] == b"\x30\x82" and len(data) == 4 + int.from_bytes(data[2:4], "big")
