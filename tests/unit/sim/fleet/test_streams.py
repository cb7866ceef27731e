import numpy as np
import pytest

from nestling_cloud.tasks import Examples
from nestling_sim.fleet.streams import StreamError, deal


def recordings(count: int) -> list[Examples]:
    """Make recordings; recording r has r + 1 inputs, all labeled r."""
    return [
        Examples(
            inputs=np.full((number + 1, 2, 4), number, np.float32),
            labels=np.full(number + 1, number, np.int64),
        )
        for number in range(count)
    ]


def dealt(count: int, devices: int, seed: int = 0) -> list[list[int]]:
    return [one.examples.labels.tolist() for one in deal(recordings(count), devices, seed)]


def test_every_recording_goes_as_a_whole_to_one_device() -> None:
    streams = dealt(7, 3)

    assert len(streams) == 3
    for recording in range(7):
        (holder,) = [stream for stream in streams if recording in stream]
        assert holder.count(recording) == recording + 1
        start = holder.index(recording)
        assert set(holder[start : start + recording + 1]) == {recording}


def test_numbers_of_recordings_differ_by_one_at_most() -> None:
    counts = sorted(len(set(stream)) for stream in dealt(8, 3))

    assert counts == [2, 3, 3]


def test_distribution_depends_on_the_seed() -> None:
    assert dealt(7, 3, seed=5) == dealt(7, 3, seed=5)
    assert dealt(7, 3, seed=5) != dealt(7, 3, seed=6)


def test_inputs_stay_with_their_labels() -> None:
    for stream in deal(recordings(7), 3, 0):
        assert (stream.examples.inputs[:, 0, 0] == stream.examples.labels).all()


def long_recordings(count: int, length: int) -> list[Examples]:
    """Make recordings whose inputs are numbered, with the number as value and as label."""
    numbers = np.arange(count * length).reshape(count, length)
    return [
        Examples(
            inputs=np.broadcast_to(row[:, None, None], (length, 2, 4)).astype(np.float32),
            labels=row,
        )
        for row in numbers
    ]


@pytest.mark.parametrize(("count", "length", "devices"), [(42, 30, 100), (1, 7, 7), (3, 5, 14)])
def test_devices_that_share_a_recording_are_never_at_the_same_input(
    count: int, length: int, devices: int
) -> None:
    streams = deal(long_recordings(count, length), devices, 0)

    numbers = np.array([one.examples.labels for one in streams])
    assert numbers.shape == (devices, length)
    for moment in numbers.T:
        assert len(set(moment.tolist())) == devices
    assert set(numbers.ravel().tolist()) == set(range(count * length))
    for one in streams:
        assert sorted(one.examples.labels) == sorted(one.recording.labels)
        assert (one.examples.inputs[:, 0, 0] == one.examples.labels).all()


def test_sharing_depends_on_the_seed() -> None:
    first, again, other = (
        [one.examples.labels.tolist() for one in deal(long_recordings(5, 9), 12, seed)]
        for seed in (5, 5, 6)
    )

    assert first == again != other


def test_short_recordings_are_shared_by_no_more_devices_than_they_have_inputs() -> None:
    # Recordings of 1, 2 and 3 inputs have six starting points.
    streams = dealt(3, 6)

    assert sorted(map(len, streams)) == [1, 2, 2, 3, 3, 3]


def test_fewer_inputs_than_devices_are_refused_with_both_numbers() -> None:
    with pytest.raises(StreamError, match="6 test inputs are too few for 7 devices"):
        deal(recordings(3), 7, 0)


def test_part_with_fewer_inputs_than_devices_that_share_it_is_refused() -> None:
    (first, *_) = deal(long_recordings(1, 6), 4, 0)

    with pytest.raises(StreamError, match="3 inputs of one recording are too few for 4 devices"):
        first.rotated(long_recordings(1, 3)[0])
