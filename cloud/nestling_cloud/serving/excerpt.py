"""What is repeated to a client of its own words: enough to recognise them, never all."""

from collections.abc import Collection
from itertools import islice

_CHARACTERS = 64
_ENTRIES = 8


def excerpt(text: str) -> str:
    """Quote a text of any length."""
    return repr(text) if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]!r}…"


def excerpts(values: Collection[str] | Collection[int]) -> str:
    """Write a list of any length, its texts quoted."""
    written = [
        excerpt(value) if isinstance(value, str) else str(value)
        for value in islice(values, _ENTRIES)
    ]
    return f"[{', '.join(written)}{', …' if len(values) > _ENTRIES else ''}]"
