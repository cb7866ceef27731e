"""Determines how many inputs to wait after a failure before the next attempt.

Nothing here does I/O or reads a clock.
"""

import math
from dataclasses import dataclass

# Longest pause after failures, in inputs.
_LONGEST_PAUSE = 16


@dataclass(frozen=True)
class Backoff:
    """A pause between attempts that doubles with every failure.

    At its full length, the pause lasts 1 input after the first failure, and at most 16 inputs. It
    is counted in inputs instead of seconds, so that a recorded trace replays to the same routes.

    Attributes:
        failures: the number of consecutive failures.
        left: the number of inputs that are still answered without an attempt.
    """

    failures: int = 0
    left: int = 0

    @property
    def over(self) -> bool:
        """Whether the pause has ended, so that the next attempt may be made."""
        return self.left == 0

    def after_input(self) -> "Backoff":
        """Return the pause after one more input that was answered without an attempt."""
        return Backoff(self.failures, max(0, self.left - 1))

    def after_failure(self, draw: float = 1.0) -> "Backoff":
        """Return the pause that follows one more failure.

        Args:
            draw: a random number from 0 to 1. The pause lasts half of its full length for 0, and
                all of it for 1. Many devices that fail at the same time thus do not return at the
                same time.
        """
        failures = self.failures + 1
        longest = min(2 ** (failures - 1), _LONGEST_PAUSE)
        return Backoff(failures, math.ceil(longest * (1 + draw) / 2))
