"""The families of teachers and students that a task file can name."""

import dataclasses
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.datasets.label_kinds import Kind
from nestling_cloud.models.anomaly_teacher import AnomalyTeacher
from nestling_cloud.models.neighbor_teacher import STATISTICS, NeighborTeacher
from nestling_cloud.models.onnx_teacher import OnnxTeacher
from nestling_cloud.models.picture_teacher import PictureTeacher
from nestling_cloud.models.sound_teacher import SoundTeacher
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.models.tiny_resnet import TinyResNet
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks.toml_table import TomlTable, wrapped
from nestling_core.student.config import (
    StudentConfig,
    conv_student,
    deepsense_student,
    recurrent_student,
    separable_student,
    shuffle_student,
)
from nestling_core.student.log_mel import LogMel, log_mel

_ANOMALY: Kind = "anomaly"
_NEIGHBORS = "neighbors"

TEACHERS: dict[str, Callable[..., nn.Module]] = {
    "picture": PictureTeacher,
    "conv": ConvTeacher,
    "tiny-resnet": TinyResNet,
    "sound": SoundTeacher,
    _ANOMALY: AnomalyTeacher,
    _NEIGHBORS: NeighborTeacher,
}
"""The networks that a task file can name as its teacher."""

STUDENTS: dict[str, Callable[..., StudentConfig]] = {
    "conv": conv_student,
    "separable": separable_student,
    "shuffle": shuffle_student,
    "deepsense": deepsense_student,
    "recurrent": recurrent_student,
}
"""The families of students that a task file can name."""

WINDOW_MS, HOP_MS, MELS = 32.0, 16.0, 40
"""The sizes of the front end of sounds unless a task file says otherwise."""

_WIDTH, _DROPOUT = 32, 0.2


def read_teacher(
    table: TomlTable, kind: Kind, front_end: LogMel | None
) -> Callable[[Signature], nn.Module]:
    """Return the teacher that a table `[teacher]` describes.

    Args:
        table: the table, with `family`, and `width` and `dropout`, `widths` and `depths`, or
            `neighbors` and `statistics`. Its sub-table is left alone.
        kind: the kind of the task.
        front_end: what turns sounds into features; None if inputs are no sounds.

    Raises:
        TaskError: a key is unknown, or a value is not allowed.
    """
    suitable = [
        name
        for name, family in sorted(TEACHERS.items())
        if (name in {_ANOMALY, _NEIGHBORS}) == (kind == _ANOMALY) and _reads(family, front_end)
    ]
    make = TEACHERS[table.text("family", allowed=suitable)]
    parameters = inspect.signature(make).parameters
    readers: dict[str, Callable[[str], Any]] = {
        "width": lambda name: table.whole(name, _WIDTH),
        "dropout": lambda name: table.number(name, _DROPOUT),
        "widths": lambda name: table.wholes(name, parameters[name].default),
        "depths": lambda name: table.wholes(name, parameters[name].default, low=0),
        "neighbors": lambda name: table.whole(name, parameters[name].default),
        "statistics": lambda name: _statistics(table, name),
    }
    arguments = {name: read(name) for name, read in readers.items() if name in parameters}
    if front_end is not None:
        arguments["front_end"] = front_end
    return partial(make, **arguments)


def _reads(family: Callable[..., nn.Module], front_end: LogMel | None) -> bool:
    """Return whether a family reads inputs with this front end, or without one."""
    parameter = inspect.signature(family).parameters.get("front_end")
    if parameter is None:
        return front_end is None
    return front_end is not None or parameter.default is None


def _statistics(table: TomlTable, name: str) -> tuple[str, ...]:
    found = table.texts(name, STATISTICS)
    if not found or not set(found) <= set(STATISTICS):
        raise table.error(name, f"name some of {', '.join(STATISTICS)}")
    return found


def read_teacher_file(table: TomlTable) -> OnnxTeacher | Path:
    """Return the trained teacher in the file that a table `[teacher]` names.

    Args:
        table: the table, with `file` (.onnx or .pt2), and for .onnx perhaps `input`, `output`,
            `mean` and `std`.

    Raises:
        TaskError: a key is unknown, or a value is not allowed.
    """
    path = table.path("file")
    if path.suffix != ".onnx":
        return path
    arguments: dict[str, Any] = {
        name: table.text(name) for name in ("input", "output") if name in table
    }
    for name, default in (("mean", 0.0), ("std", 1.0)):
        values = table.numbers(name, [default])
        arguments[name] = values if len(values) > 1 else values[0]
    return wrapped(table, partial(OnnxTeacher, path), arguments)


def read_student(table: TomlTable, front_end: LogMel | None) -> StudentConfig:
    """Return the student that a table `[student]` describes.

    Args:
        table: the table, with `family`, the arguments of the family's function, and perhaps
            `widths`. Its sub-table is left alone.
        front_end: what turns sounds into features, of which a student reads the bands as channels;
            None if inputs are no sounds.

    Raises:
        TaskError: a key is unknown, or the sizes do not form a nest.
    """
    make = STUDENTS[table.text("family", allowed=sorted(STUDENTS))]
    widths = table.rows("widths")
    arguments: dict[str, Any] = {}
    for name, parameter in inspect.signature(make).parameters.items():
        kind = str(parameter.annotation)
        if name not in table and name == "channels" and widths:
            arguments[name] = widths[-1]
        elif name in table or parameter.default is inspect.Parameter.empty:
            arguments[name] = _argument(table, name, kind)
    config = wrapped(table, make, arguments)
    changes: dict[str, Any] = {"widths": widths} if widths else {}
    if front_end is not None:
        changes["front_end"] = dataclasses.replace(front_end, bands_as_channels=True)
    return wrapped(table, partial(dataclasses.replace, config), changes)


def read_log_mel(table: TomlTable, rate_hz: int) -> LogMel:
    """Return the front end of sounds that a table `[log_mel]` describes.

    Args:
        table: the table, with `window_ms`, `hop_ms`, `mels` and `remove_mean` (true if missing,
            unlike in `LogMel`).
        rate_hz: the number of samples in a second of the task's inputs.

    Raises:
        TaskError: a key is unknown, or there are no such features.
    """
    arguments: dict[str, Any] = {
        "window_ms": table.number("window_ms", WINDOW_MS),
        "hop_ms": table.number("hop_ms", HOP_MS),
        "mels": table.whole("mels", MELS),
    }
    remove_mean = table.flag("remove_mean", default=True)
    table.end()
    sizes = wrapped(table, partial(log_mel, rate_hz), arguments)
    return dataclasses.replace(sizes, remove_mean=remove_mean)


def _argument(table: TomlTable, name: str, kind: str) -> Any:
    if "float" in kind:
        return table.numbers(name)
    return table.wholes(name) if "Sequence" in kind else table.whole(name, low=0)


def read_recipe(table: TomlTable, default: Recipe) -> Recipe:
    """Return the recipe that a table describes.

    Args:
        table: the table, with the fields of `Recipe`.
        default: the recipe whose values count where the table has none.

    Raises:
        TaskError: a key is unknown, or a value is not allowed.
        RecipeError: a value is out of its range.
    """
    readers: dict[type, Callable[[str, Any], Any]] = {
        bool: lambda name, value: table.flag(name, default=value),
        int: lambda name, value: table.whole(name, value, low=0),
        float: table.number,
        str: table.text,
    }
    fields = dataclasses.asdict(default)
    found = {name: readers[type(value)](name, value) for name, value in fields.items()}
    table.end()
    return Recipe(**found)
