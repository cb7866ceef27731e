"""Defines the built-in task `wearable`, which recognizes shoulder exercises from a watch's motion.

The data is included in seglearn's wheel. Burns et al. (Physiological Measurement 2018) recorded the
accelerometer and the gyroscope of a watch at 50 Hz during seven exercises of ten subjects, on both
wrists. A window has 100 samples and lasts two seconds. Training, calibration and test data share no
subject.
"""

import hashlib
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks.domains import Domains
from nestling_cloud.tasks.examples import Examples, Splits, concatenate
from nestling_cloud.tasks.files import DataMissingError
from nestling_cloud.tasks.motion import rotate, stretch
from nestling_cloud.tasks.task import Task, TaskError
from nestling_core.student.config import conv_student

_FILE = "watch_dataset.npy"
# The file is a pickle, which could run code: only exactly these bytes are loaded.
_SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"

WINDOW = 100
TRAIN_HOP = 25
STREAM_HOP = 50
TRAIN_SUBJECTS = 5
CALIBRATION_SUBJECTS = 2
_LEFT, _RIGHT = 0, 1  # values of `side` in the file


def load(data_dir: Path | None, seed: int) -> Splits:
    """Return the windows of all recordings, split by subject.

    Args:
        data_dir: the folder with `watch_dataset.npy`; None for the file in seglearn's wheel.
        seed: the random seed that assigns the subjects to training, calibration and test.

    Returns:
        The three parts, with inputs (N, 6, 100) in g and rad/s.

    Raises:
        DataMissingError: the file is not found or cannot be read.
        TaskError: the file differs from the one in seglearn's wheel.
    """
    data = _read(data_dir)
    train, calibration, test = _deal(data, seed)
    return Splits(
        train=concatenate(_recordings(data, train, TRAIN_HOP)),
        calibration=concatenate(_streams(data, calibration)),
        test=_recordings(data, test, STREAM_HOP),
    )


def load_sides(data_dir: Path | None, seed: int) -> Domains:
    """Return the windows of the right wrists as one domain and of the left wrists as another.

    The source data is from the right wrists of the training subjects, and the target data from the
    left wrists of the same subjects. Calibration and test data are from the left wrists of the
    other subjects. `load` assigns the subjects in the same way.

    Args:
        data_dir: the folder with `watch_dataset.npy`; None for the file in seglearn's wheel.
        seed: the random seed that assigns the subjects to training, calibration and test.

    Raises:
        DataMissingError: the file is not found or cannot be read.
        TaskError: the file differs from the one in seglearn's wheel.
    """
    data = _read(data_dir)
    train, calibration, test = _deal(data, seed)
    right, left = (_of_side(data, side) for side in (_RIGHT, _LEFT))
    return Domains(
        source=concatenate(_recordings(right, train, TRAIN_HOP)),
        target=concatenate(_recordings(left, train, TRAIN_HOP)),
        calibration=concatenate(_streams(left, calibration)),
        test=concatenate(_recordings(left, test, STREAM_HOP)),
    )


def _deal(data: dict[str, Any], seed: int) -> list[np.ndarray[Any, Any]]:
    """Return three arrays: the subjects for training, for calibration and for testing."""
    subjects = np.random.default_rng(seed).permutation(np.unique(data["subject"]))
    return np.split(subjects, [TRAIN_SUBJECTS, TRAIN_SUBJECTS + CALIBRATION_SUBJECTS])


def _of_side(data: dict[str, Any], side: int) -> dict[str, Any]:
    chosen = np.flatnonzero(data["side"] == side)
    return {
        "X": [data["X"][index] for index in chosen],
        "y": data["y"][chosen],
        "subject": data["subject"][chosen],
    }


def _read(data_dir: Path | None) -> dict[str, Any]:
    if data_dir is not None:
        content = _read_bytes(data_dir / _FILE)
    else:
        content = _read_bytes(_wheel_folder() / _FILE)
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise TaskError(
            f"{_FILE} is not the file of seglearn 1.2.5, so it was not opened; install "
            "seglearn==1.2.5, or name a folder that has its file with --data-dir"
        )
    data: dict[str, Any] = np.load(io.BytesIO(content), allow_pickle=True).item()
    return data


def _wheel_folder() -> Path:
    # `find_spec` does not import seglearn, which would import scikit-learn too.
    spec = importlib.util.find_spec("seglearn")
    if spec is None or not spec.submodule_search_locations:
        raise DataMissingError(
            f"{_FILE} comes with seglearn, which is not installed: pip install 'nestling[train]', "
            "or name a folder that has the file with --data-dir"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise DataMissingError(
            f"cannot read {path}: {err.strerror}; name the folder that has it with --data-dir"
        ) from err


def _recordings(
    data: dict[str, Any], subjects: np.ndarray[Any, Any], hop: int, starts: Sequence[int] = (0,)
) -> list[Examples]:
    return [
        _windows(data["X"][index][start:], data["y"][index], hop)
        for subject in subjects
        for index in np.flatnonzero(data["subject"] == subject)
        for start in starts
        if len(data["X"][index]) >= start + WINDOW
    ]


def _streams(data: dict[str, Any], subjects: np.ndarray[Any, Any]) -> list[Examples]:
    """Return each recording as two streams, which begin half a window's hop apart.

    Together, the two have as many windows as the recording has in training. Within each of them,
    windows are as far apart as in the stream of a device.
    """
    return _recordings(data, subjects, STREAM_HOP, (0, STREAM_HOP // 2))


def _windows(samples: np.ndarray[Any, Any], label: int, hop: int) -> Examples:
    view = np.lib.stride_tricks.sliding_window_view(samples, WINDOW, axis=0)[::hop]  # (N, C, T)
    return Examples(
        inputs=np.ascontiguousarray(view, np.float32),
        labels=np.full(len(view), label, np.int64),
    )


def _augment(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the windows with random changes in rotation, speed and strength, and with noise.

    This imitates a watch that is worn differently and an exercise that is done differently.
    """
    moved = rotate(stretch(inputs, 0.2, generator), 30.0, generator)
    strength = 1.0 + 0.1 * torch.randn(len(moved), 1, 1, generator=generator)
    return moved * strength + 0.03 * torch.randn(moved.shape, generator=generator)


TASK = Task(
    name="wearable",
    signature=Signature(
        shape=[6, WINDOW],
        channels=["ax", "ay", "az", "wx", "wy", "wz"],
        units=["g", "g", "g", "rad/s", "rad/s", "rad/s"],
        classes=["PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"],
    ),
    load=load,
    student=conv_student(channels=(32, 64, 64), kernel=5, strides=(2, 2, 1)),
    teacher_recipe=Recipe(epochs=10, threads=1),
    student_recipe=Recipe(epochs=30, threads=1),
    augment=_augment,
)
