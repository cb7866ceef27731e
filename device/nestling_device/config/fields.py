"""One setting of a configuration: what it may be, whether it comes from a file or from a flag."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


class NotAllowedError(ValueError):
    """A value that a setting must not have; the text says what is allowed."""


class Kind(Protocol):
    """What a setting may be."""

    @property
    def allowed(self) -> str:
        """In words, for a message."""
        ...

    def check(self, value: object) -> Any:
        """Take a value of a TOML file.

        Raises:
            NotAllowedError: with what is allowed.
        """
        ...

    def parse(self, text: str) -> Any:
        """Take a value from a command line; raises NotAllowedError likewise."""
        ...


def setting(default: Any, kind: Kind) -> Any:
    """Make a field of a configuration's dataclass."""
    return field(default=default, metadata={"kind": kind})


@dataclass(frozen=True, kw_only=True)
class Number:
    """A finite number; whole, where `whole`."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False  # `low` itself is not allowed
    whole: bool = False

    @property
    def allowed(self) -> str:
        """In words."""
        noun = "a whole number" if self.whole else "a number"
        if self.high < math.inf:
            return f"{noun} {'above' if self.above else 'from'} {self.low:g} to {self.high:g}"
        return f"{noun} {'above' if self.above else 'of at least'} {self.low:g}"

    def check(self, value: object) -> float:
        """Take an integer or a float, no truth value."""
        types = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, types):
            raise NotAllowedError(self.allowed)
        above = value > self.low if self.above else value >= self.low
        if not (math.isfinite(value) and above and value <= self.high):
            raise NotAllowedError(self.allowed)
        return int(value) if self.whole else float(value)

    def parse(self, text: str) -> float:
        """Take decimal text; a whole number may also be 0x..."""
        try:
            return self.check(int(text, 0) if self.whole else float(text))
        except ValueError:
            raise NotAllowedError(self.allowed) from None


@dataclass(frozen=True)
class Choice:
    """One of some names."""

    names: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """In words."""
        return ", ".join(self.names)

    def check(self, value: object) -> str:
        """Take one of the names."""
        if not isinstance(value, str) or value not in self.names:
            raise NotAllowedError(self.allowed)
        return value

    parse = check


@dataclass(frozen=True)
class Text:
    """Text that a function accepts: it raises ValueError where not."""

    allowed: str
    accept: Callable[[str], object] = str

    def check(self, value: object) -> str:
        """Take text."""
        if not isinstance(value, str):
            raise NotAllowedError(self.allowed)
        try:
            self.accept(value)
        except ValueError:
            raise NotAllowedError(self.allowed) from None
        return value

    parse = check


@dataclass(frozen=True)
class Flag:
    """True or false."""

    allowed: str = "true, false"

    def check(self, value: object) -> bool:
        """Take a truth value."""
        if not isinstance(value, bool):
            raise NotAllowedError(self.allowed)
        return value

    def parse(self, text: str) -> bool:
        """Take "true" or "false"."""
        if text not in {"true", "false"}:
            raise NotAllowedError(self.allowed)
        return text == "true"
