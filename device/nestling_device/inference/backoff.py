"""How long to wait after a failure before trying again, counted in inputs. Pure."""

from dataclasses import dataclass

# Longest pause after failures, in inputs.
_LONGEST_PAUSE = 16


@dataclass(frozen=True)
class Backoff:
    """A pause between attempts that doubles with every failure: 1, 2, 4, up to 16 inputs.

    It counts inputs, not seconds, so that a recorded trace replays to the same routes.

    Attributes:
        failures: failures in a row.
        left: inputs to skip before the next attempt.
    """

    failures: int = 0
    left: int = 0

    @property
    def over(self) -> bool:
        """True once the pause has ended and the next attempt may be made."""
        return self.left == 0

    def after_input(self) -> "Backoff":
        """Count one input that was answered without an attempt."""
        return Backoff(self.failures, max(0, self.left - 1))

    def after_failure(self) -> "Backoff":
        """Record a failure and double the pause."""
        failures = self.failures + 1
        return Backoff(failures, min(2 ** (failures - 1), _LONGEST_PAUSE))
