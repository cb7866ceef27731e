"""Federated rounds as the store has them, for the page that shows them."""

from collections.abc import Sequence

from nestling_cloud.console.data.rounds import DroppedClient, RoundView
from nestling_cloud.federated.round_log import Round, RoundLog


class StoredRounds:
    """A console's `Rounds` over the table of rounds.

    Args:
        log: open for as long as this is used.
    """

    def __init__(self, log: RoundLog) -> None:
        self._log = log

    def latest(self, count: int) -> Sequence[RoundView]:
        """Last rounds, the oldest of them first."""
        found = list(reversed(self._log.rounds(count)))
        before = self._log.count() - len(found)
        return [_view(one, place) for place, one in enumerate(found, start=before + 1)]


def _view(one: Round, place: int) -> RoundView:
    # Whose update counted may still be lost afterwards, in the comparison that ends a run.
    asked = {each.node for each in one.participants} | {lost.node for lost in one.dropped}
    return RoundView(
        run=one.run,
        number=one.number,
        place=place,
        ended_at_ms=one.ended_ms,
        invited=len(asked),
        used=len(one.participants),
        examples=sum(each.examples for each in one.participants),
        calibration_accuracy=one.accuracy,
        dropped=[DroppedClient(device=lost.device, reason=lost.reason) for lost in one.dropped],
        averaged=one.averaged,
        bundle_version=one.released or "",
        verdict=one.verdict,
    )
