"""Estimates how long a run of a model takes.

Nothing here does I/O or reads a clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

# Weight of the newest run of a size; the averages cover about the last ten.
_NEWEST = 0.1
# Mean deviations by which a slow run exceeds the mean one.
_DEVIATIONS = 3.0
# Multiple of the mean beyond which a run counts as if it had taken no longer: the process was
# stopped, or the machine was busy with something else.
_LONGEST = 5.0


class _PerRow(NamedTuple):
    """The time of runs per row, in seconds: the mean, and the mean deviation from it."""

    mean_s: float
    deviation_s: float


@dataclass(frozen=True)
class RunTimes:
    """The measured times of runs, by the size of the batch.

    Sizes are grouped by powers of two: 1, 2 to 3, 4 to 7, and so on. The estimates are moving
    averages of the time and of its deviation, as TCP uses for round-trip times (Jacobson 1988).
    """

    _groups: Mapping[int, _PerRow] = field(default_factory=dict)

    def after_run(self, rows: int, seconds: float) -> "RunTimes":
        """Return the times after one more run.

        Args:
            rows: the size of the batch.
            seconds: the time of the run.
        """
        group, newest = rows.bit_length(), seconds / rows
        before = self._groups.get(group, _PerRow(newest, newest / 4))
        newest = min(newest, _LONGEST * before.mean_s)
        error = newest - before.mean_s
        after = _PerRow(
            before.mean_s + _NEWEST * error,
            before.deviation_s + _NEWEST * (abs(error) - before.deviation_s),
        )
        return RunTimes({**self._groups, group: after})

    def run_s(self, rows: int) -> float:
        """Return the expected time of a run, or 0 before the first run.

        A row of a large batch is expected to take no longer than one of a smaller batch. If neither
        this group of sizes nor a smaller one has run yet, the estimate is that of the smallest
        group that has.
        """
        return rows * self._of(rows).mean_s

    def slow_run_s(self, rows: int) -> float:
        """Return a time that hardly any run exceeds, or 0 before the first run."""
        per_row = self._of(rows)
        return rows * (per_row.mean_s + _DEVIATIONS * per_row.deviation_s)

    @property
    def least_per_row_s(self) -> float:
        """The mean time per row of the fastest group of batch sizes, or 0 before the first run."""
        return min((group.mean_s for group in self._groups.values()), default=0.0)

    def _of(self, rows: int) -> _PerRow:
        if not self._groups:
            return _PerRow(0.0, 0.0)
        smaller = [times for group, times in self._groups.items() if group <= rows.bit_length()]
        return min(smaller) if smaller else self._groups[min(self._groups)]
