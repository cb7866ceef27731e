"""Counts the lines that a user writes for a task, and shows by the real commands that they do.

A folder of pictures and a folder of sounds need none: `nestling-cloud task new` writes the task
file, which is trained as it is. A teacher as an ONNX file needs the few lines of `ONNX_TASK`.
"""

import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.random import Generator
from PIL import Image

from benchmarks.tasks.plan import run_command

CLASSES = ("first", "second")
ONNX_TASK = """\
import numpy as np
from nestling_cloud.tasks import Examples, OnnxTeacher, Signature, Splits, Task, conv_student

def load(data_dir, seed):
    data = np.load("windows.npz")
    parts = [Examples(inputs=data[f"x{i}"], labels=data[f"y{i}"]) for i in range(3)]
    return Splits(train=parts[0], calibration=parts[1], test=parts[2:])

TASK = Task(
    name="mine",
    signature=Signature(shape=[1, 32], channels=["x"], units=["V"], classes=["first", "second"]),
    load=load,
    teacher=OnnxTeacher("teacher.onnx"),
    student=conv_student(channels=(8, 16), strides=(2, 2)),
)
"""
"""A user's file for a teacher that exists as ONNX."""

_RATE_HZ, _LENGTH, _OF_CLASS = 8000, 32, 120


def lines_of(source: str) -> int:
    """Return the number of lines of Python that are neither empty nor comments."""
    lines = [line.strip() for line in source.splitlines()]
    return sum(bool(line) and not line.startswith("#") for line in lines)


def measure_lines(folder: Path) -> dict[str, int]:
    """Return the lines that a user writes for each kind of start, after training each quickly.

    Args:
        folder: an empty folder.

    Raises:
        PlanError: a command fails.
    """
    rng = np.random.default_rng(0)
    found = {}
    for name, write in _FOLDERS.items():
        data = folder / name
        for number, label in enumerate(CLASSES):
            (data / label).mkdir(parents=True)
            for index in range(_OF_CLASS):
                write(data / label / f"{index:03d}", number, rng)
        run_command("task", "new", f"--{name}", name, "--out", f"{name}.toml", folder=folder)
        _train(f"{name}.toml", folder)
        found[name] = 0
    (folder / "mine.py").write_text(ONNX_TASK, "utf-8")
    _write_windows(folder / "windows.npz", rng)
    onnx.save(_teacher(), str(folder / "teacher.onnx"))
    _train("mine.py:TASK", folder)
    return {**found, "onnx": lines_of(ONNX_TASK)}


def _train(task: str, folder: Path) -> None:
    repository = f"bundles-of-{Path(task).stem}"
    run_command(
        "bundle", "train", "--task", task, "--repository", repository, "--quick", folder=folder
    )


def _write_picture(path: Path, number: int, rng: Generator) -> None:
    pixels = rng.integers(0, 90, (24, 24, 3), np.uint8)
    pixels[6:18, 6:18, number] = 220
    Image.fromarray(pixels).save(path.with_suffix(".jpg"), quality=90)


def _write_sound(path: Path, number: int, rng: Generator) -> None:
    times = np.arange(_RATE_HZ // 4) / _RATE_HZ
    samples = 0.5 * np.sin(2 * np.pi * (400 + 900 * number) * times)
    noisy = samples + rng.normal(scale=0.02, size=len(times))
    with wave.open(str(path.with_suffix(".wav")), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE_HZ)
        file.writeframes((noisy * 32767).astype("<i2").tobytes())


_FOLDERS: Mapping[str, Callable[[Path, int, Generator], None]] = {
    "pictures": _write_picture,
    "sounds": _write_sound,
}


def _write_windows(path: Path, rng: Generator) -> None:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for part in range(3):  # training, calibration and test
        labels = rng.integers(0, len(CLASSES), 4 * _OF_CLASS)
        noise = rng.normal(size=(len(labels), 1, _LENGTH))
        arrays[f"x{part}"] = (noise + labels[:, None, None]).astype(np.float32)
        arrays[f"y{part}"] = labels
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _teacher() -> onnx.ModelProto:
    """Return a network that tells the classes apart by the mean of a window."""
    helper = onnx.helper
    weight = np.array([[-1, 1]], np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
    ]
    constants = [
        onnx.numpy_helper.from_array(4 * weight, "weight"),
        onnx.numpy_helper.from_array(np.array([2, -2], np.float32), "bias"),
    ]
    real = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("x", real, ["n", 1, _LENGTH])],
        [helper.make_tensor_value_info("logits", real, ["n", len(CLASSES)])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
