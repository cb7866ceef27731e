"""Federated rounds over an in-process grid, with clients that fail and clients that lie."""

import dataclasses
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, Context, Message, MessageType

from nestling_cloud.bundles.repository_errors import BlobNotFoundError
from nestling_cloud.federated.aggregation import aggregate
from nestling_cloud.federated.array_records import record_of
from nestling_cloud.federated.round_log import Round, RoundLog
from nestling_cloud.federated.server_app import CheckpointError, NotReleasedError, run_rounds
from nestling_cloud.federated.strategy import NestedAveraging, RoundBase, Rules
from nestling_cloud.progress import Silent
from nestling_core.student.messages import LocalRecipe
from nestling_core.student.weights import prefix_shapes, read_arrays, take
from nestling_device.federated.client_app import app
from nestling_device.storage.lock import locked
from nestling_sim.fleet.flower_grid import LocalGrid
from tests.support.learning_fleet import LearningFleet, NodeConfig, learning_fleet, slow_tones
from tests.support.tiny_task import TINY_TASK

Client = Callable[[Message, Context], Message]


@pytest.fixture
def fleet(tiny_bundle: Path, tmp_path: Path) -> LearningFleet:
    return make_fleet(tiny_bundle, tmp_path)


def make_fleet(tiny_bundle: Path, folder: Path) -> LearningFleet:
    return learning_fleet(shutil.copytree(tiny_bundle, folder / "repository"), folder, (3, 2, 1))


def version(fleet: LearningFleet) -> str:
    desired = fleet.repository.desired()
    assert desired is not None
    return desired.bundle_version


def strategy(fleet: LearningFleet, *, min_clients: int = 2, wait_s: float = 0.0) -> NestedAveraging:
    ground = RoundBase(
        signature=TINY_TASK.signature, student=TINY_TASK.student, bundle_version=version(fleet)
    )
    recipe = LocalRecipe(epochs=1)
    return NestedAveraging(
        ground, Rules(min_clients=min_clients, recipe=recipe, timeout_s=1.0, wait_s=wait_s, seed=0)
    )


def checkpoint(fleet: LearningFleet) -> dict[str, np.ndarray]:
    path = fleet.repository.checkpoint_path(version(fleet))
    return read_arrays(path.read_bytes())


def one_round(
    fleet: LearningFleet, grid: LocalGrid, *, min_clients: int = 2
) -> tuple[NestedAveraging, dict[str, np.ndarray]]:
    """Run a single round; the arrays are empty if it made no model."""
    made = strategy(fleet, min_clients=min_clients)
    result = made.start(grid, record_of(checkpoint(fleet)), num_rounds=1)
    return made, {name: array.numpy() for name, array in result.arrays.items()}


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


def test_device_may_answer_inputs_during_a_round(fleet: LearningFleet) -> None:
    with locked(Path(str(fleet.nodes[0]["state"]))):
        made, _ = one_round(fleet, LocalGrid(app, fleet.nodes))

    assert made.tally.dropped == []


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


def test_device_refuses_to_hold_more_than_its_budget_admits(fleet: LearningFleet) -> None:
    whole = record_of(checkpoint(fleet))

    def greedy(message: Message, context: Context) -> Message:
        if message.metadata.message_type == MessageType.TRAIN:
            message.content.config_records["config"]["capacity"] = 3
            message.content["arrays"] = whole
        return app(message, context)

    made, _ = one_round(fleet, LocalGrid(greedy, fleet.nodes))

    assert made.tally.dropped == [
        (3, "device-2", "it failed: the cloud requested capacity 3; the budget admits 2 at most"),
        (4, "device-3", "it failed: the cloud requested capacity 3; the budget admits 1 at most"),
    ]


BROKEN: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "zero examples": (
        {"windows": np.zeros((0, 2, 16), np.float32), "labels": np.zeros(0, np.int64)},
        "has 0 examples; at least 2 are needed to learn from",
    ),
    "other labels": (
        {"windows": np.zeros((9, 2, 16), np.float32), "labels": np.full(9, 7)},
        "has labels outside 0 to 2",
    ),
    "something else": ({"other": np.zeros(3)}, "is not a readable .npz file"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_client_with_damaged_data_is_dropped_with_the_reason(
    what: str, fleet: LearningFleet
) -> None:
    arrays, reason = BROKEN[what]
    np.savez(str(fleet.nodes[0]["data"]), **arrays)  # type: ignore[arg-type]  # names, no flag

    found = released(fleet, rounds=1)

    (entry,) = rounds(fleet)
    ((device, found_reason),) = {(one.device, one.reason) for one in entry.dropped}
    assert device == "device-1"
    assert found_reason.startswith("it failed: ")
    assert reason in found_reason
    assert "Traceback" not in found_reason
    assert [one.device for one in entry.participants] == ["device-2", "device-3"]
    assert entry.released == found


def test_client_with_alternating_labels_trains_and_evaluates(fleet: LearningFleet) -> None:
    examples = slow_tones(90, seed=9)
    turns = np.concatenate([np.flatnonzero(examples.labels == label)[:20] for label in range(3)])
    order = turns.reshape(3, 20).T.flatten()  # low, middle, high, low, middle, high ...
    np.savez(
        str(fleet.nodes[0]["data"]),
        windows=examples.inputs[order],
        labels=examples.labels[order],
    )

    made, _ = one_round(fleet, LocalGrid(app, fleet.nodes))

    judged = {member.device: trained.comparison for member, trained in made.tally.trained}
    assert judged["device-1"].held_out == 12


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


def released(fleet: LearningFleet, client: Client = app, **changes: object) -> str:
    return run_rounds(LocalGrid(client, fleet.nodes), fleet.config(**changes), Silent())


def rounds(fleet: LearningFleet) -> list[Round]:
    with RoundLog(fleet.config().store) as log:
        return log.rounds()


def test_rounds_release_the_next_bundle_and_are_recorded(fleet: LearningFleet) -> None:
    found = released(fleet)

    assert found == version(fleet)
    assert found.startswith("tiny-2-")
    assert fleet.repository.checkpoint_path(found).is_file()  # for the rounds after these
    last, first = rounds(fleet)
    assert (first.released, last.released) == (None, found)
    assert "the median client" in last.verdict
    assert len(last.accuracy) == 3
    assert [one.device for one in last.participants] == ["device-1", "device-2", "device-3"]
    assert last.bytes_down > first.bytes_down > first.bytes_up > 0
    assert first.started_ms <= first.ended_ms <= last.started_ms


def test_same_seed_gives_the_same_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    fleets = [make_fleet(tiny_bundle, tmp_path / name) for name in ("a", "b")]

    one, other = (released(fleet, rounds=1) for fleet in fleets)

    assert one == other  # the version is a digest of everything that devices receive


def test_result_that_is_worse_than_allowed_is_not_released(fleet: LearningFleet) -> None:
    with pytest.raises(NotReleasedError, match=r"lose .* points on the calibration data"):
        released(fleet, rounds=1, calibration_margin=-1.0)

    assert fleet.repository.manifest().release == 1
    (entry,) = rounds(fleet)
    assert entry.released is None
    assert "not released: the capacities lose" in entry.verdict


def test_rounds_without_clients_release_nothing_and_say_so(fleet: LearningFleet) -> None:
    with pytest.raises(NotReleasedError, match="no round had 4 usable updates"):
        released(fleet, rounds=1, min_clients=4)

    assert "no round had 4 usable updates" in rounds(fleet)[0].verdict


def test_bundle_released_during_the_rounds_is_kept(fleet: LearningFleet) -> None:
    def busy(message: Message, context: Context) -> Message:
        if message.metadata.message_type == MessageType.EVALUATE:
            manifest = fleet.repository.manifest()
            manifest.release = 5
            fleet.repository.release(manifest)
        return app(message, context)

    with pytest.raises(NotReleasedError, match="another bundle was released during the run"):
        released(fleet, busy, rounds=1)

    assert fleet.repository.manifest().release == 5


def test_bundle_without_a_checkpoint_is_an_error(fleet: LearningFleet) -> None:
    fleet.repository.checkpoint_path(version(fleet)).unlink()

    with pytest.raises(BlobNotFoundError, match="no checkpoint"):
        released(fleet)


@pytest.mark.parametrize("data", [b"", b"nonsense"])
def test_damaged_checkpoint_is_an_error(data: bytes, fleet: LearningFleet) -> None:
    fleet.repository.add_checkpoint(version(fleet), data)

    with pytest.raises(CheckpointError, match="not a checkpoint of tiny"):
        released(fleet)


def test_another_task_than_the_bundles_is_an_error(fleet: LearningFleet) -> None:
    with pytest.raises(CheckpointError, match="the repository has a bundle of task 'tiny'"):
        released(fleet, task="wearable")
