"""What a long step says while it runs: a bar on a terminal, a line elsewhere."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import Progress as RichProgress
from rich.progress import SpinnerColumn, TimeElapsedColumn

T = TypeVar("T")


class Progress(Protocol):
    """Tells a person how far a long step is."""

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """Pass `items` on, and say how many of `total` are done."""
        ...


class ConsoleProgress:
    """A bar on a terminal; off one, a single line a step."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        self._console = console

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """Pass `items` on, and say how many of `total` are done."""
        if not self._console.is_terminal:
            self._console.print(what)
            yield from items
            return
        columns = (SpinnerColumn(), *RichProgress.get_default_columns(), TimeElapsedColumn())
        with RichProgress(*columns, console=self._console) as bar:
            yield from bar.track(items, total=total, description=what)


class Silent:
    """No word at all, for tests and machines."""

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """Pass `items` on."""
        del total, what
        yield from items
