"""Defines what the benchmark of tasks trains, and where its data is."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.small_fashion import small_fashion
from benchmarks.tasks import water_loop
from nestling_cloud.errors import CloudError
from nestling_cloud.tasks import Task, load_task

PICTURES, DIGITS, WEARABLE, FASHION = "pictures", "spoken-digits", "wearable", "fashion"
WATER_LOOP, LINES, MEMORY, SIMULATE = "water-loop", "lines", "memory", "simulate"
CELLS = (WATER_LOOP, LINES, SIMULATE, DIGITS, WEARABLE, FASHION, PICTURES, MEMORY)
"""Every part of the benchmark, the cheap ones first."""

FOLDERS: Mapping[str, str] = {
    PICTURES: "NESTLING_CIFAR10_JPEG",
    DIGITS: "NESTLING_SPOKEN_DIGITS",
    WATER_LOOP: water_loop.VARIABLE,
}
"""The environment variable that names the folder of a part's data."""


class PlanError(CloudError):
    """Raised when the data of a part is missing, or no task can be made of it."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A task that is trained for the benchmark.

    Attributes:
        name: the name in figures and tables.
        task: a function that returns the task. It is given an empty folder for files.
        seeds: the largest number of seeds. Other seeds have another split and other weights.
    """

    name: str
    task: Callable[[Path], Task]
    seeds: int


def trained(part: str) -> Sequence[Trained]:
    """Return the tasks that a part of the benchmark trains; none for parts without a training."""
    return _TRAINED.get(part, ())


def check_folders(parts: Sequence[str]) -> None:
    """Raise PlanError if the data of a part is missing, before anything is trained.

    Args:
        parts: the parts to run.
    """
    for part in parts:
        variable = FOLDERS.get(part)
        if variable is None:
            continue
        folder = os.environ.get(variable)
        if not folder or not Path(folder).is_dir():
            raise PlanError(
                f"{part}: {variable} is {folder!r} and no folder; name the folder of the data, or "
                "choose other parts with --task"
            )


def task_of_folder(folder: Path, data: Path) -> Task:
    """Return the task of a folder of pictures, as a user gets it with `nestling-cloud task new`.

    Args:
        folder: an empty folder for the task file.
        data: the folder of the pictures.

    Raises:
        PlanError: the command fails.
    """
    path = folder / "pictures.toml"
    new = ("task", "new", "--pictures", str(data.resolve()), "--name", PICTURES)
    run_command(*new, "--out", str(path), folder=folder)
    return load_task(str(path))


def run_command(*arguments: str, folder: Path) -> None:
    """Run `nestling-cloud` in a process of its own.

    Args:
        *arguments: the arguments of the command.
        folder: the folder to run it in.

    Raises:
        PlanError: the command fails.
    """
    command = [str(Path(sys.executable).with_name("nestling-cloud")), *arguments]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise PlanError(f"nestling-cloud {' '.join(arguments)} failed: {done.stderr.strip()}")


_TRAINED: Mapping[str, Sequence[Trained]] = {
    PICTURES: [
        Trained(
            name=PICTURES,
            task=lambda folder: task_of_folder(folder, Path(os.environ[FOLDERS[PICTURES]])),
            seeds=1,
        )
    ],
    DIGITS: [Trained(name=DIGITS, task=lambda _: load_task(DIGITS), seeds=3)],
    WEARABLE: [Trained(name=WEARABLE, task=lambda _: load_task(WEARABLE), seeds=3)],
    FASHION: [Trained(name=FASHION, task=lambda _: small_fashion(), seeds=3)],
    WATER_LOOP: [
        Trained(name="anomaly", task=lambda _: water_loop.ANOMALY, seeds=water_loop.SEEDS),
        Trained(name="regression", task=lambda _: water_loop.FLOW_RATE, seeds=water_loop.SEEDS),
    ],
}
