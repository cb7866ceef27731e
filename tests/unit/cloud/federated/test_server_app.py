"""Runs of rounds, and whether their result is released."""

from pathlib import Path

import pytest
from flwr.app import Context, Message, MessageType

from nestling_cloud.bundles.repository_errors import BlobNotFoundError
from nestling_cloud.federated.server_app import CheckpointError, NotReleasedError
from nestling_device.federated.client_app import app
from tests.support.federated_round import make_fleet, released, rounds, version
from tests.support.learning_fleet import LearningFleet


@pytest.fixture
def fleet(tiny_bundle: Path, tmp_path: Path) -> LearningFleet:
    return make_fleet(tiny_bundle, tmp_path)


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
