"""Tokens for the API: shown once, kept as hashes."""

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
from nestling_core.parsing.untrusted import parse_json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PREFIX = "nest_"  # so that scanners for leaked secrets can find one


class TokenError(CloudError):
    """A token that cannot be added, removed or read."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """What is kept of a token.

    Attributes:
        name: whom it was made for.
        sha256: of the token; 256 random bits need no slow hash.
        added_at_ms: when.
    """

    name: str
    sha256: str
    added_at_ms: int


class TokenFile:
    """The hashes on the disk; another process may change them at any time.

    Args:
        folder: the console's, `<state>/console`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "tokens.json"

    def add(self, name: str, *, now_ms: int) -> str:
        """Make a token and return it; nobody can read it again.

        Raises:
            TokenError: the name is taken or unusable.
        """
        if not _NAME.fullmatch(name):
            raise TokenError(
                f"token name {name!r}: use 1 to 64 letters, digits, dots, dashes or underscores, "
                "starting with a letter or digit"
            )
        known = self.all()
        if any(token.name == name for token in known):
            raise TokenError(f"there is a token {name!r}; remove it first, or take another name")
        made = _PREFIX + secrets.token_urlsafe(32)
        self._write([*known, Token(name=name, sha256=_digest(made), added_at_ms=now_ms)])
        return made

    def remove(self, name: str) -> None:
        """End a token; whoever uses it is refused from the next request on.

        Raises:
            TokenError: there is none of that name.
        """
        known = self.all()
        left = [token for token in known if token.name != name]
        if len(left) == len(known):
            names = ", ".join(token.name for token in known) or "none"
            raise TokenError(f"no token {name!r}; there are: {names}")
        self._write(left)

    def all(self) -> list[Token]:
        """Every token, in the order of their making.

        Raises:
            TokenError: the file is damaged.
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
        """Name of whom a token was made for, None if it is not one of ours."""
        sha256 = _digest(token)
        for known in self.all():
            if secrets.compare_digest(known.sha256, sha256):
                return known.name
        return None

    def _write(self, tokens: list[Token]) -> None:
        text = json.dumps([vars(token) for token in tokens], indent=1) + "\n"
        write_whole(self._path, text.encode())


def _token(entry: Mapping[str, Any]) -> Token:
    """Read an entry of the file; raises ValueError or TypeError where it makes no sense."""
    found = Token(**entry)
    if not _NAME.fullmatch(found.name) or not is_digest(found.sha256):
        raise ValueError(f"the token {str(found.name)[:64]!r} makes no sense")
    if type(found.added_at_ms) is not int:
        raise TypeError(f"nobody knows when the token {found.name!r} was added")
    return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
