import numpy as np
import pytest

from nestling_cloud.tasks import Examples
from nestling_sim.streams import StreamError, deal


def recordings(count: int) -> list[Examples]:
    """Recording r has r + 1 inputs, all labelled r."""
    return [
        Examples(
            inputs=np.full((number + 1, 2, 4), number, np.float32),
            labels=np.full(number + 1, number, np.int64),
        )
        for number in range(count)
    ]


def dealt(count: int, devices: int, seed: int = 0) -> list[list[int]]:
    return [one.labels.tolist() for one in deal(recordings(count), devices, seed)]


def test_every_recording_goes_whole_to_one_device() -> None:
    streams = dealt(7, 3)

    assert len(streams) == 3
    for recording in range(7):
        (holder,) = [stream for stream in streams if recording in stream]
        assert holder.count(recording) == recording + 1
        start = holder.index(recording)
        assert set(holder[start : start + recording + 1]) == {recording}


def test_devices_get_as_many_recordings_as_each_other_or_one_more() -> None:
    counts = sorted(len(set(stream)) for stream in dealt(8, 3))

    assert counts == [2, 3, 3]


def test_seed_decides_who_gets_what() -> None:
    assert dealt(7, 3, seed=5) == dealt(7, 3, seed=5)
    assert dealt(7, 3, seed=5) != dealt(7, 3, seed=6)


def test_inputs_stay_with_their_labels() -> None:
    for stream in deal(recordings(7), 3, 0):
        assert (stream.inputs[:, 0, 0] == stream.labels).all()


def test_fewer_recordings_than_devices_is_told_with_both_numbers() -> None:
    with pytest.raises(StreamError, match="2 test recordings are too few for 3 devices"):
        deal(recordings(2), 3, 0)
