"""Provides the argument parser of Nestling's three commands.

The module also keeps a command from failing when it prints characters that the locale's encoding
lacks.
"""

import argparse
import io
import sys
from typing import Any

# argparse's names of the actions that take one value; None is the default action.
_SINGLE = (None, "store", "store_const", "store_true", "store_false")


class _HelpFormatter(argparse.HelpFormatter):
    """A help formatter that does not wrap text with indented lines, such as examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n " in text:
            return "".join(indent + line for line in text.splitlines(keepends=True))
        return super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """An argument parser that rejects a flag that is given twice.

    argparse itself would silently use the last value. A flag that may be repeated needs
    `action="append"` or `action="extend"`. Sub-commands use this class too.
    """

    def __init__(self, **settings: Any) -> None:
        """Create a parser.

        Args:
            settings: the arguments of `argparse.ArgumentParser`. The default of `formatter_class`
                is a formatter that keeps the line breaks of text with indented lines.
        """
        super().__init__(**{"formatter_class": _HelpFormatter, **settings})
        self._namespace: argparse.Namespace | None = None  # the one being filled now
        self._given: set[str] = set()  # destinations of the flags seen so far
        for name in _SINGLE:
            self.register("action", name, _once(self._registry_get("action", name)))

    def note_flag(self, action: argparse.Action, namespace: argparse.Namespace) -> None:
        """Record that a flag was given.

        Args:
            action: the flag's action.
            namespace: the namespace that the command line is parsed into. A new namespace starts a
                new record.

        Raises:
            argparse.ArgumentError: the flag was already given on this command line.
        """
        if self._namespace is not namespace:
            self._namespace, self._given = namespace, set()
        if action.dest in self._given:
            raise argparse.ArgumentError(action, "given more than once; give it once")
        self._given.add(action.dest)


def _once(action: type[argparse.Action]) -> type[argparse.Action]:
    class Once(action):  # type: ignore[misc, valid-type]  # the base is known only at run time
        def __call__(
            self,
            parser: argparse.ArgumentParser,
            namespace: argparse.Namespace,
            values: Any,
            option_string: str | None = None,
        ) -> None:
            if option_string is not None and isinstance(parser, Parser):
                parser.note_flag(self, namespace)
            super().__call__(parser, namespace, values, option_string)

    return Once


def escape_unencodable() -> None:
    """Make standard output and standard error escape characters that their encoding lacks.

    Without this, the name of a class or file can crash a command in some locales.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
