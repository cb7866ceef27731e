"""Shows the progress of a long step, as a bar on a terminal and as a single line elsewhere."""

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
            items: the items that the step works through.
            total: the number of items.
            what: a description of the step, shown beside the bar.
        """
        ...


class ConsoleProgress:
    """Shows a progress bar on a terminal, and prints one line for each step elsewhere."""

    def __init__(self, console: Console) -> None:
        """Create a display that writes to `console`."""
        self._console = console

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """Yield `items`, and show a progress bar on a terminal or print `what` elsewhere.

        Args:
            items: the items that the step works through.
            total: the number of items.
            what: a description of the step.
        """
        if not self._console.is_terminal:
            self._console.print(what)
            yield from items
            return
        columns = (SpinnerColumn(), *RichProgress.get_default_columns(), TimeElapsedColumn())
        with RichProgress(*columns, console=self._console) as bar:
            yield from bar.track(items, total=total, description=what)


class SilentProgress:
    """Shows no progress, for tests and for output that a program reads."""

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """Yield `items` without showing anything."""
        del total, what
        yield from items
