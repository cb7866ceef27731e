"""Validates the value of one setting, whether it comes from a TOML file or from a flag."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


class NotAllowedError(ValueError):
    """A value that is not allowed; the error's text lists what is."""


class Kind(Protocol):
    """The values that a setting may have."""

    @property
    def allowed(self) -> str:
        """The allowed values in words, for an error message."""
        ...

    def check(self, value: object) -> Any:
        """Check a value of a TOML file and return it in the setting's type.

        Raises:
            NotAllowedError: the value has another type or is out of range.
        """
        ...

    def parse(self, text: str) -> Any:
        """Parse a value of a command line.

        Raises:
            NotAllowedError: the text is not such a value, or the value is out of range.
        """
        ...


def setting(default: Any, kind: Kind) -> Any:
    """Declare a field of a configuration dataclass.

    Args:
        default: the field's default.
        kind: the values that the field may have.
    """
    return field(default=default, metadata={"kind": kind})


@dataclass(frozen=True, kw_only=True)
class Number:
    """A finite number in a range.

    Attributes:
        low: lower end of the range.
        high: upper end of the range, which is allowed.
        above: whether a value has to be above `low`; otherwise `low` itself is allowed.
        whole: whether only whole numbers are allowed.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    whole: bool = False

    @property
    def allowed(self) -> str:
        """The range in words."""
        noun = "a whole number" if self.whole else "a number"
        if self.high < math.inf:
            return f"{noun} {'above' if self.above else 'from'} {self.low:g} to {self.high:g}"
        return f"{noun} {'above' if self.above else 'of at least'} {self.low:g}"

    def check(self, value: object) -> float:
        """Check an integer or a float; raises NotAllowedError for anything else."""
        types = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, types):
            raise NotAllowedError(self.allowed)
        above = value > self.low if self.above else value >= self.low
        if not (math.isfinite(value) and above and value <= self.high):
            raise NotAllowedError(self.allowed)
        return int(value) if self.whole else float(value)

    def parse(self, text: str) -> float:
        """Parse decimal or, for a whole number, 0x... text; raises NotAllowedError otherwise."""
        try:
            return self.check(int(text, 0) if self.whole else float(text))
        except ValueError:
            raise NotAllowedError(self.allowed) from None


@dataclass(frozen=True)
class Choice:
    """One of a fixed set of names.

    Attributes:
        names: the names that are allowed.
    """

    names: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The names, separated by commas."""
        return ", ".join(self.names)

    def check(self, value: object) -> str:
        """Check a name; raises NotAllowedError for any other value."""
        if not isinstance(value, str) or value not in self.names:
            raise NotAllowedError(self.allowed)
        return value

    parse = check


@dataclass(frozen=True)
class Text:
    """Text in some format.

    Attributes:
        allowed: the format in words.
        accept: raises ValueError for text in another format.
    """

    allowed: str
    accept: Callable[[str], object] = str

    def check(self, value: object) -> str:
        """Check a text; raises NotAllowedError for another type or format."""
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
    """A boolean.

    Attributes:
        allowed: the allowed values in words.
    """

    allowed: str = "true, false"

    def check(self, value: object) -> bool:
        """Check a boolean; raises NotAllowedError for any other type."""
        if not isinstance(value, bool):
            raise NotAllowedError(self.allowed)
        return value

    def parse(self, text: str) -> bool:
        """Parse "true" or "false"; raises NotAllowedError for any other text."""
        if text not in {"true", "false"}:
            raise NotAllowedError(self.allowed)
        return text == "true"
