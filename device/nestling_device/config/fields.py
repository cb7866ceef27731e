"""Validates the value of a setting, whether the value comes from a TOML file or from a flag."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


class NotAllowedError(ValueError):
    """Raised when a value is not allowed.

    The message lists the allowed values.
    """


class Kind(Protocol):
    """Describes and validates the values that a setting may have."""

    @property
    def allowed(self) -> str:
        """The allowed values in words, for an error message."""
        ...

    def check(self, value: object) -> Any:
        """Check a value from a TOML file, and return it converted to the setting's type.

        Raises:
            NotAllowedError: the value has the wrong type or is not allowed.
        """
        ...

    def parse(self, text: str) -> Any:
        """Return the value that a command-line argument represents.

        Raises:
            NotAllowedError: the text does not represent an allowed value.
        """
        ...


def setting(default: Any, kind: Kind) -> Any:
    """Declare a setting as a field of a configuration dataclass.

    Args:
        default: the field's default.
        kind: the values that the field may have.
    """
    return field(default=default, metadata={"kind": kind})


@dataclass(frozen=True, kw_only=True)
class Number:
    """The kind of a setting whose value is a finite number in a range.

    Attributes:
        low: the lower end of the range.
        high: the upper end of the range, which is allowed.
        above: whether `low` itself is excluded from the range.
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
        """Check that a value is a number in the range, and return the number.

        It is returned as an int if `whole` is set, and as a float otherwise.

        Raises:
            NotAllowedError: the value has another type or is out of range.
        """
        types = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, types):
            raise NotAllowedError(self.allowed)
        above = value > self.low if self.above else value >= self.low
        if not (_is_finite(value) and above and value <= self.high):
            raise NotAllowedError(self.allowed)
        return int(value) if self.whole else float(value)

    def parse(self, text: str) -> float:
        """Return the number that `text` represents.

        A whole number may also be hexadecimal (0x...), octal (0o...) or binary (0b...).

        Raises:
            NotAllowedError: the text is not a number, or the number is out of range.
        """
        try:
            return self.check(int(text, 0) if self.whole else float(text))
        except ValueError:
            raise NotAllowedError(self.allowed) from None


@dataclass(frozen=True)
class Choice:
    """The kind of a setting whose value is one of a fixed set of names.

    Attributes:
        names: the names that are allowed.
    """

    names: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The names, separated by commas."""
        return ", ".join(self.names)

    def check(self, value: object) -> str:
        """Check that a value is one of the names, and return the value.

        Raises:
            NotAllowedError: the value is something else.
        """
        if not isinstance(value, str) or value not in self.names:
            raise NotAllowedError(self.allowed)
        return value

    parse = check


@dataclass(frozen=True)
class Text:
    """The kind of a setting whose value is text in a certain format.

    Attributes:
        allowed: the format in words.
        accept: a function that raises ValueError for text in another format.
    """

    allowed: str
    accept: Callable[[str], object] = str

    def check(self, value: object) -> str:
        """Check that a value is text in the format, and return the text.

        Raises:
            NotAllowedError: the value is something else.
        """
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
    """The kind of a setting whose value is a boolean.

    Attributes:
        allowed: the allowed values in words.
    """

    allowed: str = "true, false"

    def check(self, value: object) -> bool:
        """Check that a value is a boolean, and return the value.

        Raises:
            NotAllowedError: the value has another type.
        """
        if not isinstance(value, bool):
            raise NotAllowedError(self.allowed)
        return value

    def parse(self, text: str) -> bool:
        """Return the boolean that "true" or "false" represents.

        Raises:
            NotAllowedError: the text is neither of these.
        """
        if text not in {"true", "false"}:
            raise NotAllowedError(self.allowed)
        return text == "true"


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False
