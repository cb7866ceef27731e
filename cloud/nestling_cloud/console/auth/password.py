"""Generates, stores and checks the console's password.

The password is generated at the first start of the cloud and stored as an argon2 hash.
"""

import hashlib
import secrets
from pathlib import Path

import argon2

from nestling_cloud.atomic_file import write_whole
from nestling_cloud.errors import CloudError
from nestling_core.parsing.text import EncodingError, decode_text

# Folder of the console's credentials, in the state folder.
CONSOLE_FOLDER = "console"
SHORTEST = 10
# Longer passwords are refused before they are hashed, because hashing is expensive by design.
LONGEST = 1000
# Easy to read aloud and to type: no 0/o, 1/l.
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP_LENGTH = 4, 5  # 100 bits


class PasswordError(CloudError):
    """Raised when a password is too short or too long, or the password file cannot be read."""


def generate() -> str:
    """Return a random password of 100 bits, for example `k3v9p-x2mda-7tqhw-c4nse`."""
    groups = (
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS)
    )
    return "-".join(groups)


class PasswordFile:
    """The file that holds the hash of the password.

    Another process may change the file at any time, so every check reads the file again.

    Args:
        folder: the folder of the console's credentials, `<state>/console`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "password"
        self._hasher = argon2.PasswordHasher()

    def exists(self) -> bool:
        """Return whether a password has been set."""
        return self._path.exists()

    def set(self, password: str) -> None:
        """Set the password.

        This ends every session that was opened with an earlier password.

        Raises:
            PasswordError: the password is too short or too long.
        """
        if not SHORTEST <= len(password) <= LONGEST:
            raise PasswordError(f"a password needs {SHORTEST} to {LONGEST} characters")
        write_whole(self._path, f"{self._hasher.hash(_bytes(password))}\n".encode())

    def check(self, password: str) -> bool:
        """Return whether a string is the password.

        The check takes about 50 ms and 64 MiB of memory, so that guessing is expensive.

        Raises:
            PasswordError: the file cannot be read or is damaged.
        """
        if len(password) > LONGEST:
            return False
        try:
            return self._hasher.verify(self._read(), _bytes(password))
        except argon2.exceptions.VerifyMismatchError:
            return False
        except (argon2.exceptions.InvalidHashError, argon2.exceptions.VerificationError) as err:
            raise PasswordError(
                f"{self._path} is damaged; `nestling-cloud console password` sets a new one"
            ) from err

    def mark(self) -> str:
        """Return a digest that changes whenever a password is set, or "" if none can be read."""
        try:
            return hashlib.sha256(self._read().encode()).hexdigest()
        except PasswordError:
            return ""

    def _read(self) -> str:
        try:
            return decode_text(self._path.read_bytes()).strip()
        except (OSError, EncodingError) as err:
            raise PasswordError(
                f"cannot read {self._path}: {err}; `nestling-cloud console password` sets a new one"
            ) from err


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")  # a terminal may pass lone surrogates


def first_password(folder: Path) -> str | None:
    """Generate and set a password if there is none.

    Returns:
        The new password, or None if a password was already set.
    """
    file = PasswordFile(folder)
    if file.exists():
        return None
    password = generate()
    file.set(password)
    return password
