"""The client app in rounds over an in-process grid."""

from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, Message, MessageType

from nestling_cloud.federated.array_records import record_of
from nestling_device.federated.client_app import app
from nestling_device.storage.lock import locked
from nestling_sim.fleet.flower_grid import LocalGrid
from tests.support.federated_round import checkpoint, make_fleet, one_round, released, rounds
from tests.support.learning_fleet import LearningFleet, slow_tones


@pytest.fixture
def fleet(tiny_bundle: Path, tmp_path: Path) -> LearningFleet:
    return make_fleet(tiny_bundle, tmp_path)


def test_device_may_answer_inputs_during_a_round(fleet: LearningFleet) -> None:
    with locked(Path(str(fleet.nodes[0]["state"]))):
        made, _ = one_round(fleet, LocalGrid(app, fleet.nodes))

    assert made.tally.dropped == []


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
