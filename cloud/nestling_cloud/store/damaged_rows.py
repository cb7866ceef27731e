"""Counts the rows of the store that are skipped because they are damaged.

Some of them are also logged.
"""

import logging

_LOG = logging.getLogger(__name__)


class DamagedRows:
    """Counts damaged rows.

    A row counts once, however often it is read. The methods may be called from several threads.
    """

    def __init__(self) -> None:
        self._known: set[tuple[str, int]] = set()

    @property
    def rows(self) -> int:
        """The number of damaged rows found so far."""
        return len(self._known)

    def add(self, table: str, number: int, reason: object) -> None:
        """Count a damaged row.

        The first, the tenth, the hundredth and so on are also logged.

        Args:
            table: the name of the row's table.
            number: the row's id.
            reason: the reason why the row cannot be read.
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
