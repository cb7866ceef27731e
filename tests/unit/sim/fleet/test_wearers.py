from pathlib import Path

import numpy as np
import pytest

from nestling_cloud.tasks import Examples
from nestling_device.federated.examples import read_examples
from nestling_sim.fleet.streams import Stream, StreamError
from nestling_sim.fleet.wearers import wearers, write_local
from nestling_sim.scenario.scenario import FederatedTable

TABLE = FederatedTable(rotation_degrees=0.0, speed=0.0, local_part=0.5, rounds=1, local_epochs=1)


def stream(labels: list[int]) -> Examples:
    inputs = np.arange(len(labels), dtype=np.float32)[:, None, None] * np.ones(
        (1, 3, 4), np.float32
    )
    return Examples(inputs=inputs, labels=np.array(labels))


def whole(labels: list[int]) -> Stream:
    return Stream(recording=stream(labels))


def positions(examples: Examples) -> list[int]:
    return [int(value) for value in examples.inputs[:, 0, 0]]


def test_recordings_are_split_with_a_gap_of_one_window() -> None:
    (one,) = wearers({"porch": whole([0] * 6 + [1] * 4)}, TABLE, seed=0).values()

    assert positions(one.local) == [0, 1, 2, 6, 7]
    assert positions(one.measured) == [4, 5, 9]
    assert one.measured.labels.tolist() == [0, 0, 1]


def test_devices_that_share_a_recording_are_measured_on_inputs_that_none_trains_on() -> None:
    shared = stream([0] * 10 + [1] * 10)
    streams = {
        f"porch-{place}": Stream(recording=shared, place=place, sharing=3) for place in range(3)
    }

    found = list(wearers(streams, TABLE, seed=0).values())

    for part in ("local", "measured"):
        streamed = [positions(getattr(one, part)) for one in found]
        assert len({tuple(sorted(one)) for one in streamed}) == 1
        assert all(len(set(moment)) == 3 for moment in zip(*streamed, strict=True))
    learned, measured = (
        {n for one in found for n in positions(getattr(one, part))}
        for part in ("local", "measured")
    )
    assert not learned & measured


def test_every_device_has_its_own_drift_that_depends_on_the_seed() -> None:
    table = TABLE.model_copy(update={"rotation_degrees": 40.0, "speed": 0.2})
    streams = {name: whole([0] * 6) for name in ("porch", "attic")}

    first, again, other = (wearers(streams, table, seed) for seed in (1, 1, 2))

    assert not np.array_equal(first["porch"].drift.turn, first["attic"].drift.turn)
    assert np.array_equal(first["porch"].measured.inputs, again["porch"].measured.inputs)
    assert not np.array_equal(first["porch"].measured.inputs, other["porch"].measured.inputs)


def test_stream_too_short_to_be_split_is_refused() -> None:
    with pytest.raises(StreamError, match="porch: 2 inputs are too few"):
        wearers({"porch": whole([0, 1])}, TABLE, seed=0)


def test_labeled_part_is_written_in_the_format_that_a_device_reads(tmp_path: Path) -> None:
    given = stream([0] * 4)
    write_local(given, tmp_path / "local.npz")

    found = read_examples(tmp_path / "local.npz", (3, 4), classes=1)

    assert np.array_equal(found.inputs, given.inputs)
