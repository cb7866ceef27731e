"""Counts rows of the store that are damaged and skipped, and logs some of them."""

import logging

_LOG = logging.getLogger(__name__)


class DamagedRows:
    """Counts damaged rows, each once however often it is read. Thread-safe."""

    def __init__(self) -> None:
        self._known: set[tuple[str, int]] = set()

    @property
    def rows(self) -> int:
        """The number of damaged rows found so far."""
        return len(self._known)

    def add(self, table: str, number: int, reason: object) -> None:
        """Count a damaged row; log the first, the tenth, the hundredth and so on.

        Args:
            table: name of its table.
            number: its id.
            reason: why it cannot be read.
        """
        if (table, number) in self._known:
            return
        self._known.add((table, number))
        count = len(self._known)
        if str(count).rstrip("0") == "1":
            _LOG.warning(
                "row %d of %s is damaged and skipped (%s so far): %s",
                number,
                table,
                f"{count:,}",
                reason,
            )
