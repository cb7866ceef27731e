"""Defines two tasks on the sensors of a water loop: anomaly detection and regression.

The Skoltech Anomaly Benchmark (Katser & Kozitsin 2020, GPL-3.0) has 35 recordings of a water loop
with a pump and valves, at 1 Hz. Its folder is named by NESTLING_WATER_LOOP. Training, calibration
and test data share no recording. Inputs are raw windows; nothing is normalized by recording.
"""

import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature, Value
from nestling_cloud.models.neighbor_teacher import NeighborTeacher
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.tasks import (
    Distillation,
    Examples,
    Quantization,
    Recipe,
    Splits,
    Task,
    concatenate,
    conv_student,
)

VARIABLE = "NESTLING_WATER_LOOP"
GROUPS = ("valve1", "valve2", "other")
NORMAL = "anomaly-free"
WINDOW_S = 60
HOP_S = 10
# Parts of the recordings of each group; the rest are for the test.
TRAIN_PART, CALIBRATION_PART = 0.5, 0.25
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
    ("Accelerometer1RMS", "ln mg"),
    ("Accelerometer2RMS", "ln mg"),
    ("Current", "A"),
    ("Pressure", "bar"),
    ("Temperature", "°C"),
    ("Thermocouple", "°C"),
    ("Voltage", "V"),
)
FLOW = ("Volume Flow RateRMS", "L/min")


def read_recording(path: Path) -> Recording:
    """Return the recording in a file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    sensors = [[float(row[name]) for row in rows] for name, _ in SENSORS]
    return Recording(
        sensors=np.array(sensors, np.float32),
        flow=np.array([float(row[FLOW[0]]) for row in rows], np.float32),
        anomalous=np.array([float(row.get("anomaly") or 0) > 0 for row in rows]),
    )


def deal(seed: int) -> tuple[list[Recording], list[Recording], list[Recording]]:
    """Return the recordings for training, for calibration and for the test."""
    folder = Path(os.environ[VARIABLE])
    rng = np.random.default_rng(seed)
    train = [read_recording(path) for path in sorted((folder / NORMAL).glob("*.csv"))]
    calibration: list[Recording] = []
    test: list[Recording] = []
    for group in GROUPS:
        found = [read_recording(path) for path in sorted((folder / group).glob("*.csv"))]
        mixed = [found[place] for place in rng.permutation(len(found))]
        first, second = (
            round(TRAIN_PART * len(found)),
            round((TRAIN_PART + CALIBRATION_PART) * len(found)),
        )
        train += mixed[:first]
        calibration += mixed[first:second]
        test += mixed[second:]
    return train, [calibration[i] for i in rng.permutation(len(calibration))], test


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
    train, calibration, test = deal(seed)
    return Splits(
        train=concatenate([train_examples(one) for one in train]),
        calibration=concatenate([examples(one) for one in calibration]),
        test=[examples(one) for one in test],
    )


def _signature(columns: Sequence[tuple[str, str]], **kind: object) -> Signature:
    return Signature(
        shape=[len(columns), WINDOW_S],
        channels=[name for name, _ in columns],
        units=[unit for _, unit in columns],
        **kind,
    )


ANOMALY = Task(
    name="water-loop-anomaly",
    signature=_signature((*SENSORS[:2], (FLOW[0], "ln L/min")), kind="anomaly", classes=["normal", "anomaly"]),
    load=partial(load, anomaly_examples, partial(anomaly_examples, least=1e-3)),
    student=conv_student(channels=(32, 48, 64), kernel=5, strides=(2, 2, 1)),
    teacher=partial(NeighborTeacher, statistics=("level",)),
    student_recipe=Recipe(epochs=20, batch=64, learning_rate=3e-3, threads=1),
    distillation=Distillation(views=8),
    quantization=Quantization(aware_epochs=6),
)
FLOW_RATE = Task(
    name="water-loop-flow",
    signature=_signature(
        SENSORS,
        kind="regression",
        values=[Value(name="flow rate", unit="L/min", tolerance=TOLERANCE_L_MIN)],
    ),
    load=partial(load, flow_examples, flow_examples),
    student=conv_student(channels=(32, 48, 64), kernel=5, strides=(2, 2, 1)),
    teacher=ConvTeacher,
    teacher_recipe=Recipe(epochs=12, batch=64, threads=1),
    student_recipe=Recipe(epochs=20, batch=64, learning_rate=3e-3, threads=1),
    distillation=Distillation(views=1),
)
