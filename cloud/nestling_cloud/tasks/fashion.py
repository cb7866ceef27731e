"""Defines the built-in task `fashion`, which classifies the images of Fashion-MNIST.

The images show ten kinds of clothes in 28 by 28 pixels (Xiao et al. 2017).
"""

import dataclasses
import gzip
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.models.picture_teacher import PictureTeacher
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks.examples import Examples, Splits
from nestling_cloud.tasks.files import DataFiles
from nestling_cloud.tasks.pictures import erase, flip, shift
from nestling_cloud.tasks.task import Task, TaskError
from nestling_core.student.config import conv_student

FILES = DataFiles(
    name="fashion-mnist",
    sha256={  # of the official download, then of Debian's package with the same content
        "train-images-idx3-ubyte.gz": (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
        ),
        "train-labels-idx1-ubyte.gz": (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
        ),
        "t10k-images-idx3-ubyte.gz": (
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
        ),
    },
    variable="NESTLING_FASHION_MNIST",
    system_folder=Path("/usr/share/datasets/fashion-mnist"),
    package="dataset-fashion-mnist",
    url="https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
)
CALIBRATION = 6_000  # images of the official training set that no model is trained on
STREAM = 50  # images in a recording
# Widths of the four layers at each capacity; the weights take 12, 46, 134 and 257 kB.
WIDTHS = ((8, 16, 24, 32), (16, 32, 48, 64), (24, 56, 80, 112), (40, 80, 112, 144))


def load(data_dir: Path | None, seed: int) -> Splits:
    """Return the official data sets, split into training, calibration and test data.

    The data has no subjects, so a random part of the official training set becomes the calibration
    data. The official test set is cut into recordings of 50 images.

    Args:
        data_dir: the folder with the four files; None to search the usual places.
        seed: the random seed that selects the calibration images and sets the order of all images.

    Returns:
        The three parts, with inputs (N, 1, 28, 28) from 0 (black) to 1 (white).

    Raises:
        DataMissingError: the files are not found and cannot be downloaded.
        TaskError: a file is not in the idx format.
    """
    paths, rng = FILES.find(data_dir), np.random.default_rng(seed)
    seen, unseen = pictures(paths, "train", rng), pictures(paths, "t10k", rng)
    border = len(seen) - CALIBRATION
    return Splits(
        train=cut(seen, 0, border),
        calibration=cut(seen, border, len(seen)),
        test=[cut(unseen, start, start + STREAM) for start in range(0, len(unseen), STREAM)],
    )


def pictures(paths: dict[str, Path], part: str, rng: np.random.Generator) -> Examples:
    """Return one of the official data sets in random order.

    Args:
        paths: a mapping from the names of the data files to their paths.
        part: the name of the data set, "train" or "t10k".
        rng: the random generator for the order.

    Returns:
        The images, (N, 1, 28, 28) from 0 to 1, and their labels.

    Raises:
        TaskError: a file is not in the idx format.
    """
    inputs = _read_idx(paths[f"{part}-images-idx3-ubyte.gz"])
    labels = _read_idx(paths[f"{part}-labels-idx1-ubyte.gz"])
    order = rng.permutation(len(labels))
    return Examples(
        inputs=(inputs[order, None] / 255).astype(np.float32),  # (N, 1, 28, 28)
        labels=labels[order].astype(np.int64),
    )


def cut(examples: Examples, start: int, end: int) -> Examples:
    """Return the examples from index `start` to index `end - 1`."""
    return examples.rows(slice(start, end))


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array in a gzipped idx file of uint8 values.

    The header of such a file consists of two zero bytes, the byte 8 for uint8, a byte with the
    number of axes, and the length of each axis (uint32, big-endian).
    """
    try:
        content = gzip.decompress(path.read_bytes())
        shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
    except (OSError, EOFError, IndexError, ValueError, zlib.error) as err:
        raise TaskError(f"{path} is not a gzipped idx file: {err}") from err


def augment(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the images after random flips, random shifts and random erasing.

    The shift is at most two pixels in each direction. The sides of an erased rectangle are at most
    8 pixels long.

    Args:
        inputs: the images, (N, 1, 28, 28).
        generator: the random generator.
    """
    return erase(shift(flip(inputs, generator), 2, generator), 8, generator)


TASK = Task(
    name="fashion",
    signature=Signature(
        shape=[1, 28, 28],
        channels=["brightness"],
        units=["share of white"],
        classes=[
            *("T-shirt", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Boot"),
        ],
    ),
    load=load,
    student=dataclasses.replace(
        conv_student(channels=WIDTHS[-1], strides=(2, 1, 2, 1)), widths=WIDTHS
    ),
    teacher=PictureTeacher,
    teacher_recipe=Recipe(epochs=16, learning_rate=4e-3, weight_decay=0.05, half=True),
    student_recipe=Recipe(epochs=8, batch=256, learning_rate=6e-3, half=True, optimizer="muon"),
    augment=augment,
    # Pictures of clothes from a public data set: there is nobody to protect.
    keep_inputs="hard",
)
