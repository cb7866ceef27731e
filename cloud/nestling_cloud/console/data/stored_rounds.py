"""Reads federated rounds from the log in the store."""

from collections.abc import Sequence

from nestling_cloud.console.data.rounds import DroppedClient, RoundView
from nestling_cloud.federated.round_log import Round, RoundLog


class StoredRounds:
    """Reads federated rounds from the log.

    Args:
        log: the log of rounds, which must stay open while this object is used.
    """

    def __init__(self, log: RoundLog) -> None:
        self._log = log

    def latest(self, count: int) -> Sequence[RoundView]:
        """Return the last `count` rounds, oldest first."""
        rounds = list(reversed(self._log.rounds(count)))
        before = self._log.count() - len(rounds)
        return [_view(one, place) for place, one in enumerate(rounds, start=before + 1)]


def _view(one: Round, place: int) -> RoundView:
    # A participant may also be among the dropped, if it fails in the comparison that ends a run.
    nodes = {each.node for each in one.participants} | {dropped.node for dropped in one.dropped}
    return RoundView(
        run=one.run,
        number=one.number,
        place=place,
        ended_at_ms=one.ended_ms,
        invited=len(nodes),
        used=len(one.participants),
        examples=sum(each.examples for each in one.participants),
        calibration_accuracy=one.accuracy,
        dropped=[
            DroppedClient(device=dropped.device, reason=dropped.reason) for dropped in one.dropped
        ],
        averaged=one.averaged,
        bundle_version=one.released or "",
        verdict=one.verdict,
    )
