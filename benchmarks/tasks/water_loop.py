"""Defines two tasks on the sensors of a water loop: anomaly detection and regression.

The Skoltech Anomaly Benchmark (Katser & Kozitsin 2020, GPL-3.0) has 35 recordings of a water loop
with a pump and valves, at 1 Hz. Its folder is named by NESTLING_WATER_LOOP. Training, calibration
and test data share no recording. Inputs are raw windows; nothing is normalized by recording.
"""

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature, Value
from nestling_cloud.models.neighbor_teacher import NeighborTeacher
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.tasks import (
    DataMissingError,
    Distillation,
    Examples,
    Quantization,
    Recipe,
    Splits,
    Task,
    TaskError,
    concatenate,
    conv_student,
)

VARIABLE = "NESTLING_WATER_LOOP"
GROUPS = ("valve1", "valve2", "other")
NORMAL = "anomaly-free"
WINDOW_S = 60
HOP_S = 10
# Where training and calibration recordings end in a group; the rest are for the test.
_PARTS = (0.5, 0.75)
_FEWEST = 3  # recordings of a group
TOLERANCE_L_MIN = 2.0
SEEDS = 6

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One recording of the water loop.

    Attributes:
        sensors: all sensors but the flow rate, by their columns, (7, T).
        flow: the volume flow rate in liters per minute, (T,).
        anomalous: whether each row belongs to an anomaly, (T,).
    """

    sensors: Floats
    flow: Floats
    anomalous: NDArray[np.bool_]

    @property
    def vibration(self) -> Floats:
        """The logarithm of both accelerometers in mg, plus 1, (2, T)."""
        return np.log1p(1000 * self.sensors[:2])


SENSORS = (
    *("Accelerometer1RMS", "Accelerometer2RMS", "Current", "Pressure"),
    *("Temperature", "Thermocouple", "Voltage"),
)
UNITS = ("ln mg", "ln mg", "A", "bar", "°C", "°C", "V")
FLOW = "Volume Flow RateRMS"


def find_recordings() -> dict[str, list[Path]]:
    """Return the files of the recordings of each group, and of the one without anomalies.

    Raises:
        DataMissingError: the folder is not named, or lacks recordings of a group.
    """
    named = os.environ.get(VARIABLE, "")
    found = {group: sorted(Path(named, group).glob("*.csv")) for group in (*GROUPS, NORMAL)}
    for group, paths in found.items():
        if not named or len(paths) < (1 if group == NORMAL else _FEWEST):
            raise DataMissingError(
                f"{VARIABLE} is {named!r}: its folder {group} has {len(paths)} recordings (*.csv), "
                "which are too few; name the folder `data` of the data set"
            )
    return found


def read_recording(path: Path) -> Recording:
    """Return the recording in a file.

    Raises:
        TaskError: the file lacks a column or has a value that is not a number.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        return Recording(
            sensors=np.array([[float(row[name]) for row in rows] for name in SENSORS], np.float32),
            flow=np.array([float(row[FLOW]) for row in rows], np.float32),
            anomalous=np.array([float(row.get("anomaly") or 0) > 0 for row in rows]),
        )
    except (OSError, KeyError, TypeError, ValueError) as err:
        raise TaskError(f"{path} is not a recording of the water loop: {err!r}") from err


def deal(seed: int) -> tuple[list[Recording], list[Recording], list[Recording]]:
    """Return the recordings for training, for calibration and for the test.

    Each group is dealt alike, so that all states of the loop occur everywhere. Calibration
    recordings are in a random order, because routers are fitted on the first ones.

    Args:
        seed: the random seed.

    Raises:
        DataMissingError: the folder is not named, or lacks recordings of a group.
        TaskError: a file is not a recording of the water loop.
    """
    found, rng = find_recordings(), np.random.default_rng(seed)
    train, calibration, test = list(found[NORMAL]), list[Path](), list[Path]()
    for group in GROUPS:
        mixed = [found[group][place] for place in rng.permutation(len(found[group]))]
        ends = [round(part * len(mixed)) for part in _PARTS]
        for part, paths in zip((train, calibration, test), _cut(mixed, ends), strict=True):
            part.extend(paths)
    calibration = [calibration[place] for place in rng.permutation(len(calibration))]
    return (
        [read_recording(path) for path in train],
        [read_recording(path) for path in calibration],
        [read_recording(path) for path in test],
    )


def _cut(paths: list[Path], ends: list[int]) -> list[list[Path]]:
    return [paths[: ends[0]], paths[ends[0] : ends[1]], paths[ends[1] :]]


def anomaly_examples(recording: Recording, least: float = 0.5) -> Examples:
    """Return the windows of both accelerometers and the flow, and which are anomalies.

    Args:
        recording: the recording.
        least: the share of anomalous rows from which a window is an anomaly.
    """
    rows = np.concatenate([recording.vibration, np.log1p(recording.flow[None])])
    anomalous = windows(recording.anomalous[None].astype(np.float32)).mean((1, 2))
    return Examples(inputs=windows(rows), labels=(anomalous >= least).astype(np.int64))


def flow_examples(recording: Recording) -> Examples:
    """Return the windows of the other sensors, and the flow rate at the end of each."""
    rows = np.concatenate([recording.vibration, recording.sensors[2:]])
    return Examples(inputs=windows(rows), labels=windows(recording.flow[None])[:, :, -1])


def windows(rows: Floats) -> Floats:
    """Return the windows of some rows, (C, T) -> (N, C, WINDOW_S)."""
    view = np.lib.stride_tricks.sliding_window_view(rows, WINDOW_S, axis=1)[:, ::HOP_S]
    return np.ascontiguousarray(view.swapaxes(0, 1))


def load(
    examples: Callable[[Recording], Examples],
    train_examples: Callable[[Recording], Examples],
    _data_dir: Path | None,
    seed: int,
) -> Splits:
    """Return the examples of a task on the water loop.

    Args:
        examples: a function that returns the examples of a recording.
        train_examples: the same for training recordings.
        seed: the seed that deals the recordings.
    """
    train, calibration, test = deal(seed)
    return Splits(
        train=concatenate([train_examples(one) for one in train]),
        calibration=concatenate([examples(one) for one in calibration]),
        test=[examples(one) for one in test],
    )


ANOMALY = Task(
    name="water-loop-anomaly",
    signature=Signature(
        shape=[3, WINDOW_S],
        channels=[*SENSORS[:2], FLOW],
        units=[*UNITS[:2], "ln L/min"],
        kind="anomaly",
        classes=["normal", "anomaly"],
    ),
    load=partial(load, anomaly_examples, partial(anomaly_examples, least=1e-3)),
    student=conv_student(channels=(32, 48, 64), kernel=5, strides=(2, 2, 1)),
    teacher=partial(NeighborTeacher, statistics=("level",)),
    student_recipe=Recipe(epochs=20, batch=64, learning_rate=3e-3, threads=1),
    distillation=Distillation(views=8),
    quantization=Quantization(aware_epochs=6),
)
FLOW_RATE = Task(
    name="water-loop-flow",
    signature=Signature(
        shape=[len(SENSORS), WINDOW_S],
        channels=SENSORS,
        units=UNITS,
        kind="regression",
        values=[Value(name="flow rate", unit="L/min", tolerance=TOLERANCE_L_MIN)],
    ),
    load=partial(load, flow_examples, flow_examples),
    student=conv_student(channels=(32, 48, 64), kernel=5, strides=(2, 2, 1)),
    teacher=partial(ConvTeacher, dropout=0.2),
    teacher_recipe=Recipe(epochs=12, batch=64, threads=1),
    student_recipe=Recipe(epochs=20, batch=64, learning_rate=3e-3, threads=1),
    distillation=Distillation(views=1),
)
