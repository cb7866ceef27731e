"""Shortens values that a client sent, so that an error message can quote them."""

from collections.abc import Collection
from itertools import islice

_CHARACTERS = 64
_ENTRIES = 8


def excerpt(text: str) -> str:
    """Return a string in quotes, cut after 64 characters."""
    return repr(text) if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]!r}…"


def excerpts(values: Collection[str] | Collection[int]) -> str:
    """Return a list as text, cut after 8 entries.

    Strings in the list are quoted, and each is cut after 64 characters.
    """
    written = [
        excerpt(value) if isinstance(value, str) else str(value)
        for value in islice(values, _ENTRIES)
    ]
    return f"[{', '.join(written)}{', …' if len(values) > _ENTRIES else ''}]"
