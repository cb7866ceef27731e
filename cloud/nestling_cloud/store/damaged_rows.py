"""Rows of the store that nobody can read any more: left out, counted, and said a few times."""

import logging

_LOG = logging.getLogger(__name__)


class DamagedRows:
    """Counts damaged rows, each once however often it is met. May be used from several threads."""

    def __init__(self) -> None:
        self._met: set[tuple[str, int]] = set()

    @property
    def rows(self) -> int:
        """How many were met so far."""
        return len(self._met)

    def add(self, table: str, number: int, reason: object) -> None:
        """Count a row, and log the first, the tenth, the hundredth and so on.

        Args:
            table: its table.
            number: its id.
            reason: why it cannot be read.
        """
        if (table, number) in self._met:
            return
        self._met.add((table, number))
        count = len(self._met)
        if str(count).rstrip("0") == "1":
            _LOG.warning(
                "row %d of %s is damaged and left out (%s so far): %s",
                number,
                table,
                f"{count:,}",
                reason,
            )
