"""Reads tables of TOML files strictly, with errors that say where and what is allowed."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from nestling_cloud.tasks.task import TaskError
from nestling_core.parsing.text import EncodingError, decode_text

_T = TypeVar("_T")


class TomlTable:
    """A table of a TOML file, whose keys are taken one by one.

    Every method that takes a key raises TaskError if its value is not allowed, or if a required key
    is missing. `end` then raises an error about the keys that nobody took.
    """

    def __init__(
        self, content: Mapping[str, Any], *, path: Path, text: str, name: str = ""
    ) -> None:
        """Wrap a table.

        Args:
            content: the table.
            path: the path of the file, for errors.
            text: the text of the file, in which lines are looked for.
            name: the name of the table with dots; "" for the top of the file.
        """
        self._content = dict(content)
        self._path, self._text, self.name = path, text, name
        self._known: set[str] = set()

    def __contains__(self, key: str) -> bool:
        """Return whether the table has a key."""
        return key in self._content

    def table(self, key: str) -> "TomlTable":
        """Return a table below this one; if there is none, an empty one."""
        content = self._take(key, dict, "a table", {})
        name = f"{self.name}.{key}" if self.name else key
        return TomlTable(content, path=self._path, text=self._text, name=name)

    def tables(self, key: str) -> Iterator["TomlTable"]:
        """Yield the tables of an array of tables, such as `[[values]]`."""
        for content in self._list(key, dict, "tables", []):
            yield TomlTable(content, path=self._path, text=self._text, name=key)

    def text(self, key: str, default: str | None = None, *, allowed: Sequence[str] = ()) -> str:
        """Return a string.

        Args:
            key: the key.
            default: the value if the key is missing; None if it is required.
            allowed: the values that it may have; none for any.

        Raises:
            TaskError: the value is something else or not allowed, or a required key is missing.
        """
        found: str = self._take(key, str, "a string", default)
        if allowed and found not in allowed:
            near = _nearest(found, allowed)
            raise self.error(key, f"found {found!r}{near}; allowed: {', '.join(allowed)}")
        return found

    def path(self, key: str) -> Path:
        """Return a path, which the file gives relative to its own folder."""
        return self._path.parent / self.text(key)

    def whole(self, key: str, default: int | None = None, *, low: int = 1) -> int:
        """Return a whole number of at least `low`."""
        found: int = self._take(key, int, "a whole number", default)
        if found < low:
            raise self.error(key, f"found {found}; allowed: at least {low}")
        return found

    def number(self, key: str, default: float | None = None) -> float:
        """Return a number of at least 0."""
        found = float(self._take(key, (int, float), "a number", default))
        if not 0 <= found < float("inf"):
            raise self.error(key, f"found {found:g}; allowed: at least 0")
        return found

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        found: bool = self._take(key, bool, "true or false", default)
        return found

    def texts(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return a list of strings.

        Raises:
            TaskError: the value is something else, or a required key is missing.
        """
        return tuple(self._list(key, str, "strings", default))

    def wholes(
        self, key: str, default: Sequence[int] | None = None, *, low: int = 1
    ) -> tuple[int, ...]:
        """Return a list of whole numbers of at least `low`."""
        found = tuple(self._list(key, int, "whole numbers", default))
        if any(number < low for number in found):
            raise self.error(key, f"found {list(found)}; allowed: numbers of at least {low}")
        return found

    def numbers(self, key: str, default: Sequence[float] | None = None) -> tuple[float, ...]:
        """Return a list of numbers."""
        return tuple(map(float, self._list(key, (int, float), "numbers", default)))

    def rows(self, key: str) -> tuple[tuple[int, ...], ...]:
        """Return a list of lists of whole numbers; an empty one if the key is missing."""
        found = self._list(key, list, "lists of whole numbers", [])
        if any(type(number) is not int or number < 1 for row in found for number in row):
            raise self.error(key, "allowed: lists of whole numbers of at least 1")
        return tuple(tuple(row) for row in found)

    def share_or_texts(self, key: str, default: float) -> float | tuple[str, ...]:
        """Return a share of at least 0 and below 1, or a list of strings.

        Raises:
            TaskError: the value is neither.
        """
        if isinstance(self._content.get(key), list):
            return self.texts(key)
        found = self.number(key, default)
        if found >= 1:
            raise self.error(key, f"found {found:g}; allowed: a share below 1, or a list of groups")
        return found

    def known(self, key: str) -> None:
        """Count a key as taken, so that errors name it among the allowed ones."""
        self._known.add(key)

    def end(self) -> None:
        """Raise TaskError if the table has a key that nobody took."""
        unknown = next((key for key in self._content if key not in self._known), None)
        if unknown is not None:
            near = _nearest(unknown, sorted(self._known))
            raise self.error(
                unknown, f"unknown key{near}; allowed: {', '.join(sorted(self._known))}"
            )

    def error(self, key: str, problem: str) -> TaskError:
        """Return an error about a key."""
        line = _line_of(self._text, self.name, key)
        place = f"{self._path}, line {line}" if line else str(self._path)
        names = [f"[{self.name}]" if self.name else "", key]
        return TaskError(f"{place}: {' '.join(filter(None, names))}: {problem}")

    def _take(self, key: str, kind: type | tuple[type, ...], what: str, default: Any) -> Any:
        self._known.add(key)
        if key not in self._content:
            if default is None:
                raise self.error(key, f"this key is missing; give {what}")
            return default
        found = self._content[key]
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
            raise self.error(key, f"found {found!r}; allowed: {what}")
        return found

    def _list(self, key: str, kind: type | tuple[type, ...], what: str, default: Any) -> Any:
        found = self._take(key, list, f"a list of {what}", default)
        for value in found:
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                raise self.error(key, f"found {value!r} in the list; allowed: {what}")
        return found


def read_toml(path: Path) -> TomlTable:
    """Return the top table of a TOML file.

    Raises:
        TaskError: the file cannot be read, or is not TOML.
    """
    try:
        text = decode_text(path.read_bytes())
        return TomlTable(tomllib.loads(text), path=path, text=text)
    except (OSError, EncodingError) as err:
        raise TaskError(f"task file {path} cannot be read: {err}") from err
    except (tomllib.TOMLDecodeError, RecursionError) as err:
        raise TaskError(f"task file {path} is not TOML: {err}") from err


def wrapped(table: TomlTable, make: Callable[..., _T], arguments: Mapping[str, Any]) -> _T:
    """Call a function with arguments from a table, and return what it returns.

    Args:
        table: the table that the arguments come from.
        make: the function, which raises TypeError or ValueError for unsuitable arguments.
        arguments: the keyword arguments.

    Raises:
        TaskError: the function raised a TypeError or a ValueError. The text names the table and its
            line. Other errors are passed through.
    """
    try:
        return make(**arguments)
    except (TypeError, ValueError) as err:
        raise table.error("", str(err)) from err


def _nearest(found: str, known: Sequence[str]) -> str:
    near = get_close_matches(found, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _line_of(text: str, table: str, key: str) -> int | None:
    """Return the number of the line with a key; of the table, if the key is missing."""
    current, header = "", None
    for number, line in enumerate(text.splitlines(), start=1):
        opened = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
        if opened:
            current = opened[1]
            header = number if current == table else header
        elif current == table and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return header
