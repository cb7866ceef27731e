"""What the three commands share: their parser, and an output that takes any text."""

import argparse
import io
import sys
from typing import Any

# Actions that take one value, as argparse names them; None is the default.
_SINGLE = (None, "store", "store_const", "store_true", "store_false")


class Parser(argparse.ArgumentParser):
    """Refuses a flag that is given twice, where argparse lets the last one win in silence.

    Flags that are meant to repeat say so by `action="append"` or "extend". Parsers of sub-commands
    are of this class too.
    """

    def __init__(self, **settings: Any) -> None:
        """Make a parser; see `argparse.ArgumentParser`."""
        super().__init__(**settings)
        self._namespace: argparse.Namespace | None = None  # that is being filled
        self._given: set[str] = set()  # destinations of the flags seen so far
        for name in _SINGLE:
            self.register("action", name, _once(self._registry_get("action", name)))

    def note_flag(self, action: argparse.Action, namespace: argparse.Namespace) -> None:
        """Remember a flag; raises ArgumentError if it was there before."""
        if self._namespace is not namespace:
            self._namespace, self._given = namespace, set()
        if action.dest in self._given:
            raise argparse.ArgumentError(action, "given more than once; give it once")
        self._given.add(action.dest)


def _once(action: type[argparse.Action]) -> type[argparse.Action]:
    class Once(action):  # type: ignore[misc, valid-type]  # a class known at run time only
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


def print_anything() -> None:
    """Let standard output and error escape what their encoding does not have.

    A name of a class or file must not end a command because of the locale that it was started in.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
