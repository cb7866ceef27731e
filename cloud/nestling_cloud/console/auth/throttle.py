"""Limits how fast passwords may be tried, by counting failed logins.

Apart from reading the clock, the module does no I/O.
"""

from collections import deque
from collections.abc import Callable

from nestling_core.network.hosts import network_of

# The first failure of an address that costs a wait. Earlier ones may be typing errors.
FREE_FAILURES = 5
# After this failure and each later one, an address waits 2, 4, 8, ... seconds, at most this long.
LONGEST_WAIT_S = 300.0
# Failures of all addresses in any minute, after which every address that has failed waits. An
# address that has not failed waits only after twice as many, so that guessing from many machines
# does not lock out people who know the password.
FAILURES_A_MINUTE = 60
# Failures of an address are forgotten after this time.
_MEMORY_S = 3600.0
_MOST_ADDRESSES = 10_000


class LoginThrottle:
    """Counts failed logins by address, and decides how long an address must wait to try again.

    All addresses of one IPv6 network (/64) count as one address. The counts are lost when the
    process ends. Only a limited number of addresses is counted: beyond the limit, the address whose
    last failure is the oldest is forgotten.

    Args:
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._addresses: dict[str, tuple[int, float]] = {}  # failures, time of the last one
        self._minute: deque[float] = deque()

    def wait_s(self, address: str) -> float:
        """Return the number of seconds until an address may try a password, or 0 if it may now.

        The wait grows with the number of failures of the address. An address may also have to wait
        because all addresses together have failed too often in the last minute.
        """
        now_s, network = self._clock(), network_of(address)
        known = network in self._addresses
        most = FAILURES_A_MINUTE if known else 2 * FAILURES_A_MINUTE
        return max(self._address_wait_s(network, now_s), self._global_wait_s(most, now_s))

    def failed(self, address: str) -> None:
        """Record that this address tried a wrong password."""
        now_s = self._clock()
        network = network_of(address)
        failures, last_s = self._addresses.pop(network, (0, now_s))
        recent = failures if now_s - last_s < _MEMORY_S else 0
        while len(self._addresses) >= _MOST_ADDRESSES:  # drop the one that failed longest ago
            del self._addresses[next(iter(self._addresses))]
        self._addresses[network] = (recent + 1, now_s)
        self._minute.append(now_s)

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address that has sent the correct password."""
        self._addresses.pop(network_of(address), None)

    def _address_wait_s(self, network: str, now_s: float) -> float:
        failures, last_s = self._addresses.get(network, (0, now_s))
        if failures < FREE_FAILURES:
            return 0.0
        pause_s = min(2.0 ** (min(failures, 60) - FREE_FAILURES + 1), LONGEST_WAIT_S)
        return max(0.0, last_s + pause_s - now_s)

    def _global_wait_s(self, most: int, now_s: float) -> float:
        while self._minute and now_s - self._minute[0] >= 60:
            self._minute.popleft()
        if len(self._minute) < most:
            return 0.0
        return self._minute[-most] + 60 - now_s
