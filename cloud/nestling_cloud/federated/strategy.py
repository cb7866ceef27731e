"""Defines a Flower strategy for clients that train smaller and larger parts of the same model.

Every client receives, trains and returns the prefix of the nested student that fits on its device.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.federated.aggregation import Update, aggregate
from nestling_cloud.federated.array_records import arrays_in, record_of
from nestling_cloud.federated.client_replies import (
    config_of,
    metrics_of,
    trained_arrays,
    valid_replies,
)
from nestling_cloud.federated.round_tally import RoundTally
from nestling_cloud.federated.update_checks import (
    ClientUpdate,
    HeldOutComparison,
    Member,
    check_comparison,
    check_member,
    check_trained,
)
from nestling_core.clock import unix_ms
from nestling_core.student import messages
from nestling_core.student.config import StudentConfig
from nestling_core.student.messages import LocalRecipe
from nestling_core.student.weights import Arrays, prefix_shapes, take

_LOOK_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The options of every round.

    Attributes:
        min_clients: the fewest valid updates in a round; with fewer, the model does not change.
        recipe: the options of the clients' training.
        timeout_s: the longest time to wait for the clients' answers to a set of messages, in
            seconds.
        wait_s: the longest time to wait for enough clients to connect before a round, in seconds.
        seed: the random seed of the clients' shuffling.
    """

    min_clients: int
    recipe: LocalRecipe
    timeout_s: float
    wait_s: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class RoundBase:
    """A description of the model that the rounds train.

    Attributes:
        signature: the signature of the task.
        student: the sizes of the student.
        bundle_version: the version of the bundle that the rounds start from.
    """

    signature: Signature
    student: StudentConfig
    bundle_version: str


class NestedAveraging(Strategy):
    """A Flower strategy that averages the updates of clients with prefixes of different sizes.

    Args:
        base: the model that the rounds train.
        rules: the options of every round.

    Attributes:
        tally: the record of the latest round.
    """

    def __init__(self, base: RoundBase, rules: Rules) -> None:
        self._base = base
        self._rules = rules
        self._whole: Arrays = {}
        self._members: dict[int, Member] = {}
        self._asked: dict[int, Member] = {}
        self._latest: list[tuple[Member, ClientUpdate]] = []
        self.tally = RoundTally(number=0, started_ms=0)

    @property
    def updates(self) -> list[Update]:
        """The updates of the latest round in which updates were averaged."""
        return [trained.update for _, trained in self._latest]

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return one training message for each client, with the weights that the client trains.

        New clients are first asked for their capacity, which is the largest size of the student
        that fits on the device. A client trains the weights of its capacity.
        """
        del config
        self.tally = RoundTally(number=server_round, started_ms=unix_ms())
        self._whole = arrays_in(arrays)
        self._meet(grid, server_round)
        self._asked = dict(self._members)
        return [
            self._message(MessageType.TRAIN, member, server_round, {messages.ARRAYS: self._whole})
            for member in self._asked.values()
        ]

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Return the average of the valid updates, or no model if there are too few updates."""

        def check(member: Member, reply: Message) -> ClientUpdate:
            return check_trained(
                member,
                trained_arrays(reply),
                config_of(reply),
                metrics_of(reply),
                signature=self._base.signature,
                student=self._base.student,
                server_round=server_round,
                bundle_version=self._base.bundle_version,
            )

        self.tally.trained = valid_replies(self._asked, replies, check, self.tally)
        if len(self.tally.trained) < self._rules.min_clients:
            return None, None
        self.tally.averaged = True
        self._latest = self.tally.trained
        self._whole = aggregate(self._whole, self.updates)
        return record_of(self._whole), None

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return no messages, because clients report their accuracies with their updates."""
        del server_round, arrays, config, grid
        return []

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Return None, because no messages were sent."""
        del server_round, replies
        return None

    def summary(self) -> None:
        """Log nothing, because every round is stored in the table of rounds."""

    def ask(self, grid: Grid, baseline: Arrays, candidate: Arrays) -> list[HeldOutComparison]:
        """Ask clients to compare two models on their own held-out data, and return the comparisons.

        Only the clients whose updates were averaged most recently are asked.

        Args:
            grid: Flower's connection to the clients.
            baseline: the weights of the model that the rounds started from.
            candidate: the weights of the model that may be released.

        Returns:
            The valid comparisons.
        """
        number = self.tally.number
        members = {member.node: member for member, _ in self._latest}
        sent = [
            self._message(
                MessageType.EVALUATE,
                member,
                number,
                {messages.BASELINE: baseline, messages.ARRAYS: candidate},
            )
            for member in members.values()
        ]

        def check(_: Member, reply: Message) -> HeldOutComparison:
            return check_comparison(
                config_of(reply),
                metrics_of(reply),
                server_round=number,
                bundle_version=self._base.bundle_version,
            )

        replies = grid.send_and_receive(sent, timeout=self._rules.timeout_s)
        return [comparison for _, comparison in valid_replies(members, replies, check, self.tally)]

    def _meet(self, grid: Grid, server_round: int) -> None:
        """Ask new nodes for their capacity and number of examples, and forget nodes that left."""
        nodes = self._nodes(grid)
        self._members = {node: member for node, member in self._members.items() if node in nodes}
        unknown = [node for node in nodes if node not in self._members]
        ask = ConfigRecord({messages.BUNDLE_VERSION: self._base.bundle_version})
        sent = [
            Message(
                RecordDict({messages.CONFIG: ask}),
                node,
                MessageType.QUERY,
                group_id=str(server_round),
            )
            for node in unknown
        ]

        def check(stranger: Member, reply: Message) -> Member:
            return check_member(
                stranger.node,
                config_of(reply),
                metrics_of(reply),
                capacities=self._base.student.capacities,
                bundle_version=self._base.bundle_version,
            )

        strangers = {
            node: Member(node=node, device="?", capacity=0, examples=0) for node in unknown
        }
        replies = grid.send_and_receive(sent, timeout=self._rules.timeout_s) if sent else []
        for _, member in valid_replies(strangers, replies, check, self.tally):
            self._members[member.node] = member

    def _nodes(self, grid: Grid) -> list[int]:
        """Wait for enough nodes to connect, and return the sorted numbers of all connected nodes.

        The wait ends at the time limit even if there are too few nodes.
        """
        deadline = time.monotonic() + self._rules.wait_s
        pause = threading.Event()
        while True:
            nodes = sorted(grid.get_node_ids())
            if len(nodes) >= self._rules.min_clients or time.monotonic() >= deadline:
                return nodes
            pause.wait(_LOOK_S)

    def _message(
        self, kind: str, member: Member, server_round: int, models: Mapping[str, Arrays]
    ) -> Message:
        base = self._base
        shapes = prefix_shapes(base.signature, base.student, member.capacity)
        records = {name: record_of(take(model, shapes)) for name, model in models.items()}
        self.tally.bytes_down += sum(record.count_bytes() for record in records.values())
        config = ConfigRecord(
            {
                messages.BUNDLE_VERSION: base.bundle_version,
                messages.ROUND: server_round,
                messages.CAPACITY: member.capacity,
                messages.SEED: self._rules.seed,
                **messages.student_fields(base.student),
                **messages.recipe_fields(self._rules.recipe),
            }
        )
        content = RecordDict({messages.CONFIG: config, **records})
        return Message(content, member.node, kind, group_id=str(server_round))
