"""Show the progress of a long step: a bar on a terminal, a single line elsewhere."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import Progress as RichProgress
from rich.progress import SpinnerColumn, TimeElapsedColumn

T = TypeVar("T")


class Progress(Protocol):
    """Shows a user the progress of a long step."""

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """Yield `items` and show how many of them are done.

        Args:
            items: what the step works through.
            total: number of items.
            what: description of the step, shown beside the bar.
        """
        ...


class ConsoleProgress:
    """Shows a progress bar on a terminal; elsewhere prints one line for each step."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        self._console = console

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """Yield `items` and show how many of them are done; see `Progress.track`."""
        if not self._console.is_terminal:
            self._console.print(what)
            yield from items
            return
        columns = (SpinnerColumn(), *RichProgress.get_default_columns(), TimeElapsedColumn())
        with RichProgress(*columns, console=self._console) as bar:
            yield from bar.track(items, total=total, description=what)


class Silent:
    """Shows nothing; for tests and for output that a program reads."""

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """Yield `items`; see `Progress.track`."""
        del total, what
        yield from items
