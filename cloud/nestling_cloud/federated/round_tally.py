"""Keeps the record of a round while the round runs."""

from dataclasses import dataclass, field

from nestling_cloud.federated.round_log import Exclusion, Participant, Round
from nestling_cloud.federated.update_checks import ClientUpdate, Member
from nestling_core.clock import unix_ms


@dataclass(kw_only=True)
class RoundTally:
    """The record of one round, which is filled in while the round runs.

    Attributes:
        number: the number of the round, from 1.
        started_ms: the start of the round, Unix time in ms.
        trained: the valid updates, each with its client.
        dropped: the clients that were left out, as (node, device, reason).
        bytes_down: the size of all arrays sent to clients, in bytes.
        bytes_up: the size of all arrays received from clients, in bytes.
        averaged: True if the updates were averaged.
    """

    number: int
    started_ms: int
    trained: list[tuple[Member, ClientUpdate]] = field(default_factory=list)
    dropped: list[tuple[int, str, str]] = field(default_factory=list)
    bytes_down: int = 0
    bytes_up: int = 0
    averaged: bool = False

    def drop(self, node: int, device: str, reason: str) -> None:
        """Record that a client is left out.

        Args:
            node: Flower's number for the client.
            device: the name that the client gave itself, or "?" if the name is not known.
            reason: the reason why the client is left out.
        """
        self.dropped.append((node, device, reason))

    def entry(self, run: str, bundle_version: str, accuracy: tuple[float, ...]) -> Round:
        """Return the round's entry for the table of rounds, with the current time as its end.

        Args:
            run: the name of the run that the round belongs to.
            bundle_version: the version of the bundle from which the run started.
            accuracy: the accuracy of each capacity on the cloud's calibration data.
        """
        return Round(
            run=run,
            number=self.number,
            started_ms=self.started_ms,
            ended_ms=unix_ms(),
            bundle_version=bundle_version,
            participants=tuple(_participant(*trained) for trained in self.trained),
            dropped=tuple(
                Exclusion(device=device, node=str(node), reason=reason)
                for node, device, reason in self.dropped
            ),
            bytes_down=self.bytes_down,
            bytes_up=self.bytes_up,
            accuracy=accuracy,
            averaged=self.averaged,
        )


def _participant(member: Member, trained: ClientUpdate) -> Participant:
    return Participant(
        device=member.device,
        node=str(member.node),
        capacity=member.capacity,
        examples=trained.update.examples,
        held_out=trained.comparison.held_out,
        accuracy_before=trained.comparison.before,
        accuracy_after=trained.comparison.after,
    )
