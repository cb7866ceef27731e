"""Decides which receipts of an outbox are sent, and when.

The rule is a go-back-n window: several batches may be unacknowledged at a time. If one is lost, it
is sent again together with all batches after it. Nothing here does I/O or reads a clock.
"""


class SendWindow:
    """Decides which receipts are sent next.

    A few batches may be in flight (sent but not acknowledged). If no acknowledgement comes in time,
    everything from the first unacknowledged receipt on is sent again.

    A partly filled batch is sent only if nothing is in flight (Nagle's rule). A device that
    produces receipts faster than the cloud acknowledges them therefore sends full batches, and a
    slow device sends every receipt immediately.
    """

    def __init__(
        self,
        *,
        acknowledged: int,
        last: int,
        batch_limit: int = 100,
        batches: int = 4,
        resend_after_s: float = 5.0,
        longest_wait_s: float = 60.0,
    ) -> None:
        """Begin with the current state of an outbox.

        Args:
            acknowledged: the sequence up to which the cloud has acknowledged everything.
            last: the newest sequence in the outbox. Receipts up to it count as historical.
            batch_limit: the largest number of receipts in one batch.
            batches: the largest number of full batches in flight.
            resend_after_s: the time in seconds without an acknowledgement after which the receipts
                in flight are sent again. It doubles each time, until an acknowledgement or a
                restart resets it.
            longest_wait_s: the upper limit of that time, in seconds.
        """
        self._acknowledged = acknowledged
        self._sent = acknowledged
        self._historical_to = last
        self._batch_limit = batch_limit
        self._window = batches * batch_limit
        self._first_wait_s = resend_after_s
        self._wait_s = resend_after_s
        self._longest_wait_s = longest_wait_s
        self._progress_at = 0.0

    def restart(self) -> None:
        """Treat all unacknowledged receipts as unsent, because the host may have missed them."""
        self._sent = self._acknowledged
        self._wait_s = self._first_wait_s

    def acknowledged(self, sequence: int, *, now_s: float) -> None:
        """Record that the cloud has acknowledged all receipts up to a sequence number.

        Args:
            sequence: the sequence number of the last acknowledged receipt.
            now_s: the current time of a monotonic clock, in seconds.
        """
        self._acknowledged = max(self._acknowledged, sequence)
        self._sent = max(self._sent, self._acknowledged)
        self._wait_s = self._first_wait_s
        self._progress_at = now_s

    def sent(self, sequence: int, *, now_s: float) -> None:
        """Record that the receipts up to a sequence were sent.

        Args:
            sequence: the last sequence that was sent.
            now_s: the current time of a monotonic clock, in seconds.
        """
        if self._sent == self._acknowledged:
            self._progress_at = now_s
        self._sent = sequence
        self._historical_to = max(self._historical_to, sequence)

    def is_historical(self, sequence: int) -> bool:
        """Return whether a receipt was sent before or was in the outbox at the start.

        Args:
            sequence: the sequence of the receipt.
        """
        return sequence <= self._historical_to

    def due(self, last: int, *, now_s: float) -> int | None:
        """Return the sequence after which the next batch begins, or None to wait.

        If the receipts in flight are due to be sent again, they count as unsent from now on, and
        the wait until they are due once more doubles.

        Args:
            last: the newest sequence in the outbox.
            now_s: the current time of a monotonic clock, in seconds.
        """
        if self._in_flight and self.resend_in_s(now_s=now_s) <= 0:
            self._sent = self._acknowledged
            self._wait_s = min(2 * self._wait_s, self._longest_wait_s)
        waiting = last - self._sent
        room = self._in_flight < self._window and waiting >= self._batch_limit
        return self._sent if waiting > 0 and (room or not self._in_flight) else None

    def resend_in_s(self, *, now_s: float) -> float:
        """Return the time in seconds until the receipts in flight must be sent again.

        It is infinite if no receipts are in flight, and zero or negative if they are due.

        Args:
            now_s: the current time of a monotonic clock, in seconds.
        """
        return self._progress_at + self._wait_s - now_s if self._in_flight else float("inf")

    @property
    def _in_flight(self) -> int:
        return self._sent - self._acknowledged
