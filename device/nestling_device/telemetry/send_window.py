"""When to send which receipts: a go-back-n window over an outbox. Pure; time is an argument."""


class SendWindow:
    """Keeps a few batches in flight, and goes back to the first unacknowledged receipt.

    A part-filled batch leaves only when nothing is in flight (Nagle's rule), so a device that
    produces faster than the cloud acknowledges sends full batches, and a slow one waits for
    nothing.
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
        """Begin with an outbox as it is.

        Args:
            acknowledged: sequence up to which the cloud has everything.
            last: newest sequence in the outbox; up to it, receipts count as historical.
            batch_limit: most receipts in one batch.
            batches: full batches that may be in flight.
            resend_after_s: time without progress after which to send again; doubles each time.
            longest_wait_s: where the doubling ends.
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
        """Take everything unacknowledged as unsent: the connection or the host is a new one."""
        self._sent = self._acknowledged
        self._wait_s = self._first_wait_s

    def acknowledged(self, sequence: int, *, now_s: float) -> None:
        """Note that the cloud has everything up to `sequence`."""
        self._acknowledged = max(self._acknowledged, sequence)
        self._sent = max(self._sent, self._acknowledged)
        self._wait_s = self._first_wait_s
        self._progress_at = now_s

    def sent(self, sequence: int, *, now_s: float) -> None:
        """Note that receipts up to `sequence` are on their way."""
        if self._sent == self._acknowledged:
            self._progress_at = now_s
        self._sent = sequence
        self._historical_to = max(self._historical_to, sequence)

    def is_historical(self, sequence: int) -> bool:
        """Whether a receipt was on its way before, or lay in the outbox when we began."""
        return sequence <= self._historical_to

    def due(self, last: int, *, now_s: float) -> int | None:
        """Decide whether to send now.

        Args:
            last: newest sequence in the outbox.
            now_s: a steady clock.

        Returns:
            The sequence after which to send a batch, None to wait.
        """
        if self._in_flight and self.patience_s(now_s=now_s) <= 0:
            self._sent = self._acknowledged
            self._wait_s = min(2 * self._wait_s, self._longest_wait_s)
        waiting = last - self._sent
        room = self._in_flight < self._window and waiting >= self._batch_limit
        return self._sent if waiting > 0 and (room or not self._in_flight) else None

    def patience_s(self, *, now_s: float) -> float:
        """Time until what is in flight has to be sent again, infinite if nothing is."""
        return self._progress_at + self._wait_s - now_s if self._in_flight else float("inf")

    @property
    def _in_flight(self) -> int:
        return self._sent - self._acknowledged
