"""Bring your own task: Fashion-MNIST (Xiao et al. 2017), pictures of ten kinds of clothes.

nestling-sim run --task docs/examples/fashion.py:TASK
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.tasks import (
    DataFiles,
    Examples,
    Recipe,
    Signature,
    Splits,
    Task,
    TaskError,
    conv_student,
)

FILES = DataFiles(
    name="fashion-mnist",
    sha256={  # of the official download, then of Debian's package of the same content
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
LEARN_FROM, STREAMED, STREAM = 18_000, 2_000, 50  # pictures


def load(data_dir: Path | None, seed: int) -> Splits:
    """Take a part of the official sets; two thirds of what is learned from train the models."""
    paths, rng = FILES.find(data_dir), np.random.default_rng(seed)
    seen = _pictures(paths, "train", LEARN_FROM, rng)
    unseen = _pictures(paths, "t10k", STREAMED, rng)
    border = len(seen) * 2 // 3
    return Splits(
        train=_cut(seen, 0, border),
        calibration=_cut(seen, border, len(seen)),
        test=[_cut(unseen, start, start + STREAM) for start in range(0, len(unseen), STREAM)],
    )


def _pictures(paths: dict[str, Path], part: str, count: int, rng: np.random.Generator) -> Examples:
    pictures = _read_idx(paths[f"{part}-images-idx3-ubyte.gz"])
    labels = _read_idx(paths[f"{part}-labels-idx1-ubyte.gz"])
    chosen = rng.permutation(len(labels))[:count]
    return Examples(
        inputs=(pictures[chosen, None] / 255).astype(np.float32),  # (N, 1, 28, 28)
        labels=labels[chosen].astype(np.int64),
    )


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Header: two zeros, 8 for uint8, the number of axes, then each axis' length (big-endian)."""
    try:
        content = gzip.decompress(path.read_bytes())
        shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
    except (OSError, EOFError, IndexError, ValueError, zlib.error) as err:
        raise TaskError(f"{path} is not a gzipped idx file: {err}") from err


def _cut(examples: Examples, start: int, end: int) -> Examples:
    return Examples(inputs=examples.inputs[start:end], labels=examples.labels[start:end])


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
    student=conv_student(channels=(16, 32, 64), strides=(2, 2, 1)),
    teacher_recipe=Recipe(epochs=4),
    student_recipe=Recipe(epochs=12),
)
