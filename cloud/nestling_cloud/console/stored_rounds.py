"""Federated rounds as the store has them, for the page that shows them."""

from collections.abc import Sequence

from nestling_cloud.console.rounds import DroppedClient, RoundView
from nestling_cloud.federated.rounds import Round, RoundLog


class StoredRounds:
    """A console's `Rounds` over the table of rounds.

    Args:
        log: open for as long as this is used.
    """

    def __init__(self, log: RoundLog) -> None:
        self._log = log

    def latest(self, count: int) -> Sequence[RoundView]:
        """Last rounds, the oldest of them first, counted on over all runs."""
        found = list(reversed(self._log.rounds(count)))
        before = self._log.count() - len(found)
        return [_view(one, number) for number, one in enumerate(found, start=before + 1)]


def _view(one: Round, number: int) -> RoundView:
    return RoundView(
        number=number,
        ended_at_ms=one.ended_ms,
        invited=len(one.participants) + len(one.dropped),
        used=len(one.participants),
        examples=sum(each.examples for each in one.participants),
        accuracy=one.accuracy,
        dropped=[DroppedClient(device=lost.device, reason=lost.reason) for lost in one.dropped],
        bundle_version=one.released or "",
    )
