"""Tests of the stream of pictures with bursts."""

import numpy as np

from benchmarks.streams.pictures import with_bursts
from nestling_cloud.tasks import Examples


def made_stream() -> tuple[Examples, Examples]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 5000)
    pictures = Examples(inputs=(labels[:, None, None, None] / 10).astype(np.float32), labels=labels)
    return pictures, with_bursts(pictures, rng)


def test_every_picture_occurs_once_with_its_label() -> None:
    pictures, stream = made_stream()

    assert np.bincount(stream.labels).tolist() == np.bincount(pictures.labels).tolist()
    assert sum(stream.lengths) == len(stream) == 5000
    assert stream.inputs.dtype == np.float32


def test_classes_and_noise_persist() -> None:
    _, stream = made_stream()

    noisy = ~np.isclose(stream.inputs[:, 0, 0, 0], stream.labels / 10)
    assert 0.9 < (stream.labels[1:] == stream.labels[:-1]).mean() < 0.98
    assert 0.1 < noisy.mean() < 0.3
    assert 0.85 < noisy[1:][noisy[:-1]].mean() < 0.98
