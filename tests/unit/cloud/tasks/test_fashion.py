"""Fashion-MNIST, with synthetic images and the real ones."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling_cloud.tasks import DataMissingError, Task, TaskError, concatenate, fashion, load_task
from tests.support.needs import FASHION_MNIST
from tests.support.skipping import needs


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task("fashion")


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + values.tobytes()))


def write_part(folder: Path, part: str, count: int) -> None:
    """Write images in which every pixel is the label times 20."""
    labels = (np.arange(count) % 10).astype(np.uint8)
    pictures = np.broadcast_to((labels * 20)[:, None, None], (count, 28, 28))
    write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    write_idx(folder / f"{part}-images-idx3-ubyte.gz", pictures)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    write_part(tmp_path, "train", fashion.CALIBRATION + 200)
    write_part(tmp_path, "t10k", 120)
    return tmp_path


def test_images_keep_their_labels(task: Task, data_dir: Path) -> None:
    splits = task.load_checked(data_dir, 0)

    for part in (splits.train, splits.calibration, *splits.test):
        expected = part.labels * 20 / 255
        assert np.allclose(part.inputs, expected[:, None, None, None])


def test_every_image_is_used_once(task: Task, data_dir: Path) -> None:
    splits = task.load_checked(data_dir, 0)

    assert (len(splits.train), len(splits.calibration)) == (200, fashion.CALIBRATION)
    assert [len(stream) for stream in splits.test] == [50, 50, 20]
    learned = np.concatenate([splits.train.labels, splits.calibration.labels])
    assert np.bincount(learned).tolist() == [620] * 10  # no image is missing or used twice


def test_seed_chooses_the_images(task: Task, data_dir: Path) -> None:
    first, again, other = (task.load(data_dir, seed).train.labels for seed in (0, 0, 1))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_environment_variable_names_the_folder(
    task: Task, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NESTLING_FASHION_MNIST", str(data_dir))

    assert len(task.load(None, 0).train) == 200


def test_folder_without_the_files_is_named(task: Task, tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"train-images-idx3-ubyte\.gz"):
        task.load(tmp_path, 0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no gzip",
        gzip.compress(b""),
        gzip.compress(b"\0\0\x08"),
        gzip.compress(b"\0\0\x08\x01\0\0\0\x09short"),
        gzip.compress(bytes(1000))[:-9],
        gzip.compress(bytes(range(256)))[:10] + b"\xff" * 20,
    ],
    ids=["empty", "no gzip", "no content", "half a header", "short", "cut", "damaged"],
)
def test_file_that_is_not_an_idx_file_is_named(task: Task, data_dir: Path, content: bytes) -> None:
    (data_dir / "t10k-labels-idx1-ubyte.gz").write_bytes(content)

    with pytest.raises(TaskError, match=r"t10k-labels-idx1-ubyte\.gz is not a gzipped idx file"):
        task.load(data_dir, 0)


@needs(FASHION_MNIST)
def test_real_images_load_from_debians_folder(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NESTLING_FASHION_MNIST", raising=False)

    splits = task.load_checked(None, 0)

    assert (len(splits.train), len(splits.calibration)) == (54_000, 6_000)
    assert [len(stream) for stream in splits.test] == [50] * 200
    for part in (splits.train, splits.calibration, concatenate(splits.test)):
        assert set(part.labels.tolist()) == set(range(10))
        assert (part.inputs[:].min(), part.inputs[:].max()) == (0.0, 1.0)
