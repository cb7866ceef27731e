"""Queues the requests for a model, and decides which are refused under overload.

The queue is bounded and fair to all devices. An unbounded queue collapses under overload: every
request waits until its sender has given up, and the model computes only answers that nobody waits
for. A request that could not be answered by its deadline is therefore refused at once, or later as
soon as this becomes clear.

Nothing here does I/O or reads a clock.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from nestling_cloud.serving.run_times import RunTimes

T = TypeVar("T")

MOST_ROWS = 1024
"""The most rows that wait, of all devices together."""
_SHORTEST_RETRY_S = 0.05


@dataclass(frozen=True, eq=False, kw_only=True)
class Waiting(Generic[T]):
    """A request that waits for a run.

    Attributes:
        item: the caller's own object for the request, which the queue only hands back.
        rows: the number of inputs in the request.
        device: the device that sent the request; "" for other clients, which together count as one
            device.
        deadline_s: the time by which the answer has to be ready, in seconds on the same clock as
            `now_s`; infinite for no limit.
    """

    item: T
    rows: int
    device: str
    deadline_s: float


@dataclass(frozen=True, kw_only=True)
class Taken(Generic[T]):
    """Requests that were taken from the queue.

    Attributes:
        batch: the requests to run together; may be empty.
        late: the requests that can no longer be answered in time.
    """

    batch: Sequence[Waiting[T]]
    late: Sequence[Waiting[T]]


@dataclass(kw_only=True)
class RequestQueue(Generic[T]):
    """The requests that wait for a model.

    Devices take turns, so a device with many requests delays only itself.

    Attributes:
        max_batch: the largest number of rows in one run.
        runners: the number of runs at the same time.
        most_rows: the most rows that may wait.
        rows: the number of rows that wait.
    """

    max_batch: int
    runners: int
    most_rows: int = MOST_ROWS
    rows: int = 0
    _devices: "OrderedDict[str, deque[Waiting[T]]]" = field(default_factory=OrderedDict)
    _rows_of: dict[str, int] = field(default_factory=dict)

    def wait_s(self, entry: Waiting[Any], times: RunTimes, *, free_in_s: float) -> float:
        """Return the expected time until a request is answered, assuming that its run is slow.

        Args:
            entry: the request, which is not in the queue yet.
            times: the times of earlier runs.
            free_in_s: the expected time until a runner is free, 0 or more.
        """
        before = self._rows_of.get(entry.device, 0)
        own = before + entry.rows
        ahead = sum(min(own, rows) for rows in self._rows_of.values()) - min(own, before) + before
        queued = ahead * times.least_per_row_s / self.runners
        return free_in_s + queued + times.slow_run_s(entry.rows)

    def retry_s(self, times: RunTimes) -> float:
        """Return the time after which to try a refused request again."""
        return max(_SHORTEST_RETRY_S, self.rows * times.least_per_row_s / self.runners)

    def offer(
        self, entry: Waiting[T], times: RunTimes, *, now_s: float, free_in_s: float
    ) -> Waiting[T] | None:
        """Add a request, and return the request that is refused, if any.

        If the new request would not be answered in time, it is itself refused. However, if a runner
        is idle and no other request waits, the new request is added unless its deadline has passed:
        the known run times may stem from a busy machine, and only a new run can correct them. If
        the queue is full, the newest request of the device with the most rows is refused.

        Args:
            entry: the request.
            times: the times of earlier runs.
            now_s: the current time.
            free_in_s: the expected time until a runner is free, 0 or more.
        """
        if self.is_late(entry, times, now_s=now_s, free_in_s=free_in_s):
            return entry
        self._devices.setdefault(entry.device, deque()).append(entry)
        self._count(entry.device, entry.rows)
        if self.rows <= self.most_rows:
            return None
        greediest = max(self._rows_of, key=self._rows_of.__getitem__)
        refused = self._devices[greediest].pop()
        self._count(greediest, -refused.rows)
        return refused

    def is_late(
        self, entry: Waiting[Any], times: RunTimes, *, now_s: float, free_in_s: float
    ) -> bool:
        """Return whether a request is to be refused because its answer would come too late.

        Args:
            entry: the request, which is not in the queue yet.
            times: the times of earlier runs.
            now_s: the current time.
            free_in_s: the expected time until a runner is free, 0 or more.
        """
        if free_in_s == 0 and not self.rows:
            return now_s >= entry.deadline_s
        return now_s + self.wait_s(entry, times, free_in_s=free_in_s) > entry.deadline_s

    def remove(self, entry: Waiting[T]) -> None:
        """Remove a request whose caller has gone, or do nothing if it is not in the queue."""
        entries = self._devices.get(entry.device)
        if entries is not None and entry in entries:
            entries.remove(entry)
            self._count(entry.device, -entry.rows)

    def clear(self) -> list[Waiting[T]]:
        """Remove and return all requests."""
        found = [entry for entries in self._devices.values() for entry in entries]
        self._devices.clear()
        self._rows_of.clear()
        self.rows = 0
        return found

    def take(self, times: RunTimes, *, now_s: float) -> Taken[T]:
        """Take the requests for the next run, one of each device in turn.

        The rows that wait are divided among the runners: a run gets at most one runner's share,
        unless its first request is larger. It also gets no more rows than can be answered before
        the earliest deadline in the run. If only one request is left, it runs even if it is
        expected to be late, for the same reason as in `offer`, unless its deadline has passed.

        Args:
            times: the times of earlier runs.
            now_s: the current time.
        """
        batch: list[Waiting[T]] = []
        late: list[Waiting[T]] = []
        most = min(self.max_batch, max(1, -(-self.rows // self.runners)))
        size, earliest = 0, float("inf")
        while self._devices:
            entry = next(iter(self._devices.values()))[0]
            only = self.rows == entry.rows and not batch
            left_s = entry.deadline_s - now_s
            if left_s <= 0 or (times.slow_run_s(entry.rows) > left_s and not only):
                late.append(self._pop())
                continue
            earliest = min(earliest, entry.deadline_s)
            grown = size + entry.rows
            if batch and (grown > most or now_s + times.slow_run_s(grown) > earliest):
                break
            batch.append(self._pop())
            size = grown
        return Taken(batch=batch, late=late)

    def _pop(self) -> Waiting[T]:
        """Remove and return the first request, and let its device go to the end of the turn."""
        device, entries = next(iter(self._devices.items()))
        entry = entries.popleft()
        self._devices.move_to_end(device)
        self._count(device, -entry.rows)
        return entry

    def _count(self, device: str, rows: int) -> None:
        """Count rows that a device has more or fewer, and forget a device without any."""
        self.rows += rows
        self._rows_of[device] = self._rows_of.get(device, 0) + rows
        if not self._devices[device]:
            del self._devices[device], self._rows_of[device]
