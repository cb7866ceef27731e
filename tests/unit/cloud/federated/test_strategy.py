"""Rounds over an in-process grid, with clients that fail and clients that lie."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, Context, Message, MessageType

from nestling_cloud.federated.aggregation import aggregate
from nestling_cloud.federated.array_records import record_of
from nestling_core.student.weights import prefix_shapes, take
from nestling_device.federated.client_app import app
from nestling_sim.fleet.flower_grid import LocalGrid
from tests.support.federated_round import (
    Client,
    checkpoint,
    make_fleet,
    one_round,
    strategy,
    version,
)
from tests.support.learning_fleet import LearningFleet, NodeConfig
from tests.support.tiny_task import TINY_TASK


@pytest.fixture
def fleet(tiny_bundle: Path, tmp_path: Path) -> LearningFleet:
    return make_fleet(tiny_bundle, tmp_path)


def test_every_client_trains_the_prefix_of_its_budget_and_all_are_averaged(
    fleet: LearningFleet,
) -> None:
    made, after = one_round(fleet, LocalGrid(app, fleet.nodes))

    assert [update.capacity for update in made.updates] == [3, 2, 1]
    expected = aggregate(checkpoint(fleet), made.updates)
    assert all(np.array_equal(expected[name], after[name]) for name in expected)
    assert made.tally.dropped == []


def test_no_more_than_the_prefix_is_sent(fleet: LearningFleet) -> None:
    sent: dict[int, dict[str, tuple[int, ...]]] = {}

    def watched(message: Message, context: Context) -> Message:
        if message.metadata.message_type == MessageType.TRAIN:
            record = message.content.array_records["arrays"]
            sent[context.node_id] = {name: array.shape for name, array in record.items()}
        return app(message, context)

    made, _ = one_round(fleet, LocalGrid(watched, fleet.nodes))

    shapes = [prefix_shapes(TINY_TASK.signature, TINY_TASK.student, k) for k in (3, 2, 1)]
    assert [{k: tuple(v) for k, v in one.items()} for one in sent.values()] == shapes
    prefixes = [record_of(take(checkpoint(fleet), shape)) for shape in shapes]
    assert made.tally.bytes_down == sum(record.count_bytes() for record in prefixes)


def arrays_of_reply(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Message], None]:
    def apply(reply: Message) -> None:
        record = reply.content.array_records["arrays"]
        record["head"] = Array(change(record["head"].numpy()))

    return apply


def renamed(reply: Message) -> None:
    record = reply.content.array_records["arrays"]
    record["tail"] = record.pop("head")


def empty(reply: Message) -> None:
    del reply.content["arrays"]


def garbage(reply: Message) -> None:
    record = reply.content.array_records["arrays"]
    record["head"] = Array("float32", (3, 4), "numpy.ndarray", b"\x93NUMPY nonsense")


def stale(reply: Message) -> None:
    reply.content.config_records["config"]["round"] = 0


def other_bundle(reply: Message) -> None:
    reply.content.config_records["config"]["bundle-version"] = "tiny-9-00000000"


def many_examples(reply: Message) -> None:
    reply.content.metric_records["metrics"]["examples"] = 10**9


def crash(_: Message) -> None:
    raise RuntimeError("Traceback\nthe device caught fire")


LIES: dict[str, tuple[Callable[[Message], None], str]] = {
    "not a number": (arrays_of_reply(lambda head: head * np.nan), "not finite"),
    "integers": (arrays_of_reply(lambda head: head.astype(np.int32)), "head is int32"),
    "shape": (arrays_of_reply(lambda head: head[:, :-1].copy()), "head has shape"),
    "name": (renamed, "wrong names"),
    "no arrays": (empty, "no arrays"),
    "garbage": (garbage, "its arrays cannot be read"),
    "stale": (stale, "stale answer of round 0"),
    "other bundle": (other_bundle, "'tiny-9-00000000', but the rounds start from"),
    "examples": (many_examples, "is not a whole number"),
    "dead": (crash, "it failed: the device caught fire"),
}


def lying(what: Callable[[Message], None], device: str = "device-1") -> Client:
    def client(message: Message, context: Context) -> Message:
        reply = app(message, context)
        if message.metadata.message_type == "train" and context.node_config["id"] == device:
            what(reply)
        return reply

    return client


@pytest.mark.parametrize("lie", LIES)
def test_client_that_fails_or_lies_is_dropped_with_the_reason(
    lie: str, fleet: LearningFleet
) -> None:
    what, reason = LIES[lie]

    made, after = one_round(fleet, LocalGrid(lying(what), fleet.nodes))

    ((node, device, found),) = made.tally.dropped
    assert (node, device) == (2, "device-1")
    assert reason in found
    assert [update.node for update in made.updates] == [3, 4]
    expected = aggregate(checkpoint(fleet), made.updates)
    assert all(np.array_equal(expected[name], after[name]) for name in expected)


class SilentNodeGrid(LocalGrid):
    """A grid on which one node never replies to a train message."""

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        delivered = [
            one
            for one in messages
            if one.metadata.dst_node_id != 2 or one.metadata.message_type == MessageType.QUERY
        ]
        return super().push_messages(delivered)


class ChangingGrid(LocalGrid):
    """A grid whose nodes come and go: each query returns the next list, the last one repeatedly."""

    def __init__(self, nodes: list[NodeConfig], *there: list[int]) -> None:
        super().__init__(app, nodes)
        self.there = list(there)

    def get_node_ids(self) -> Iterable[int]:
        return self.there.pop(0) if len(self.there) > 1 else self.there[0]


def test_client_that_left_is_not_asked_again(fleet: LearningFleet) -> None:
    made = strategy(fleet)

    made.start(
        ChangingGrid(fleet.nodes, [2, 3, 4], [3, 4]), record_of(checkpoint(fleet)), num_rounds=2
    )

    assert made.tally.number == 2
    assert [update.node for update in made.updates] == [3, 4]
    assert made.tally.dropped == []


def test_round_waits_for_enough_clients(
    fleet: LearningFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nestling_cloud.federated.strategy._LOOK_S", 0.001)
    grid = ChangingGrid(fleet.nodes, [], [2], [2, 3])

    made = strategy(fleet, wait_s=60.0)
    made.start(grid, record_of(checkpoint(fleet)), num_rounds=1)

    assert [update.node for update in made.updates] == [2, 3]


def test_client_that_does_not_reply_in_time_is_dropped(fleet: LearningFleet) -> None:
    made, after = one_round(fleet, SilentNodeGrid(app, fleet.nodes))

    assert made.tally.dropped == [(2, "device-1", "no reply in time")]
    assert after


def test_client_that_replies_twice_counts_once(fleet: LearningFleet) -> None:
    class Echo(LocalGrid):
        def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
            replies = list(super().pull_messages(message_ids))
            twice = replies and replies[0].metadata.message_type == MessageType.TRAIN
            return [*replies, replies[0]] if twice else replies

    made, _ = one_round(fleet, Echo(app, fleet.nodes))

    assert len(made.updates) == 3
    assert made.tally.dropped == [(2, "?", "unrequested answer")]


def test_round_with_too_few_clients_leaves_the_model_unchanged(fleet: LearningFleet) -> None:
    made, after = one_round(fleet, LocalGrid(app, fleet.nodes), min_clients=4)

    assert after == {}
    assert made.updates == []
    assert not made.tally.averaged


def test_device_with_another_bundle_is_not_asked_to_train(fleet: LearningFleet) -> None:
    other = dataclasses.replace(fleet, nodes=[*fleet.nodes])
    manifest = fleet.repository.manifest()
    manifest.release = 2
    fleet.repository.release(manifest)
    fleet.repository.add_checkpoint(
        version(fleet), fleet.repository.checkpoint_path("tiny-1-" + _digest(fleet)).read_bytes()
    )

    made, after = one_round(other, LocalGrid(app, other.nodes))

    assert after == {}
    assert len(made.tally.dropped) == 3
    assert all("but the rounds start from tiny-2-" in reason for _, _, reason in made.tally.dropped)
    assert made.tally.bytes_down == 0


def _digest(fleet: LearningFleet) -> str:
    (path,) = (fleet.repository.root / "checkpoints").glob("tiny-1-*.npz")
    return path.stem.removeprefix("tiny-1-")
