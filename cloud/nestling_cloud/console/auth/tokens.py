"""Creates, stores and checks API tokens.

A token is shown once, when it is created. Only its hash is stored.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestling_cloud.atomic_file import write_whole
from nestling_cloud.errors import CloudError
from nestling_core.nest.bundle_files import is_digest
from nestling_core.parsing.untrusted_data import parse_json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PREFIX = "nest_"  # lets scanners for leaked secrets recognize a token


class TokenError(CloudError):
    """Raised when a token cannot be added or removed, or the file of tokens cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """The data that the cloud stores about a token.

    Attributes:
        name: a name that says who uses the token.
        sha256: the hash of the token. A fast hash is enough, because a token has 256 random bits.
        added_at_ms: the Unix time at which the token was added.
    """

    name: str
    sha256: str
    added_at_ms: int


class TokenFile:
    """The file that holds the hashes of the tokens.

    Another process may change the file at any time, so every call reads the file again.

    Args:
        folder: the folder of the console's credentials, `<state>/console`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "tokens.json"

    def add(self, name: str, *, now_ms: int) -> str:
        """Create a token and return it.

        The token cannot be read again later, because only its hash is stored.

        Args:
            name: a name that says who will use the token.
            now_ms: the Unix time.

        Raises:
            TokenError: the name is taken or not allowed, or the file cannot be read.
        """
        if not _NAME.fullmatch(name):
            raise TokenError(
                f"token name {name!r}: use 1 to 64 letters, digits, dots, dashes or underscores, "
                "starting with a letter or digit"
            )
        known = self.all()
        if any(token.name == name for token in known):
            raise TokenError(
                f"the token {name!r} exists already; remove it first, or choose another name"
            )
        token_text = _PREFIX + secrets.token_urlsafe(32)
        self._write([*known, Token(name=name, sha256=_digest(token_text), added_at_ms=now_ms)])
        return token_text

    def remove(self, name: str) -> None:
        """Remove a token, so that requests with it are refused.

        Raises:
            TokenError: there is no token of that name, or the file cannot be read.
        """
        known = self.all()
        remaining = [token for token in known if token.name != name]
        if len(remaining) == len(known):
            names = ", ".join(token.name for token in known) or "none"
            raise TokenError(f"no token {name!r}; existing tokens: {names}")
        self._write(remaining)

    def all(self) -> list[Token]:
        """Return all tokens, in the order in which they were added.

        Raises:
            TokenError: the file cannot be read or is damaged.
        """
        try:
            return [_token(entry) for entry in parse_json(self._path.read_bytes())]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as err:
            raise TokenError(
                f"cannot read {self._path}: {err}; remove it and add the tokens again"
            ) from err

    def holder(self, token: str) -> str | None:
        """Return the name of a token, or None if the token is unknown.

        Raises:
            TokenError: the file cannot be read or is damaged.
        """
        sha256 = _digest(token)
        for stored in self.all():
            if secrets.compare_digest(stored.sha256, sha256):
                return stored.name
        return None

    def _write(self, tokens: list[Token]) -> None:
        text = json.dumps([vars(token) for token in tokens], indent=1) + "\n"
        write_whole(self._path, text.encode())


def _token(entry: Mapping[str, Any]) -> Token:
    """Return the token that an entry of the file describes.

    Raises:
        ValueError: the name or the hash is invalid.
        TypeError: a field is missing, unknown or of the wrong type.
    """
    token = Token(**entry)
    if not _NAME.fullmatch(token.name) or not is_digest(token.sha256):
        raise ValueError(f"the token {str(token.name)[:64]!r} has an invalid name or hash")
    if type(token.added_at_ms) is not int:
        raise TypeError(f"the token {token.name!r} has an invalid added_at_ms")
    return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
