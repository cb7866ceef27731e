"""Reads task files in TOML: tasks whose data is a folder.

A task in a TOML file and one in a Python file become the same object.
"""

from pathlib import Path
from typing import Any, get_args

from nestling.v1.bundle_pb2 import Signature, Value
from nestling_cloud.datasets.facts import Media
from nestling_cloud.datasets.items import GroupPlace, LabelPlace, Places
from nestling_cloud.datasets.label_kinds import Kind, LabelKind
from nestling_cloud.datasets.name_patterns import compiled
from nestling_cloud.datasets.split import CALIBRATION_SHARE, TEST_SHARE, SplitPlan
from nestling_cloud.datasets.survey import Plan
from nestling_cloud.datasets.windows import WindowPlan
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks.augmentation import Augmentation
from nestling_cloud.tasks.families import (
    read_log_mel,
    read_recipe,
    read_student,
    read_teacher,
    read_teacher_file,
)
from nestling_cloud.tasks.folder_data import FolderData
from nestling_cloud.tasks.keep_inputs import KeepInputs
from nestling_cloud.tasks.task import Task
from nestling_cloud.tasks.toml_table import TomlTable, read_toml
from nestling_core.student.log_mel import LogMel

_COLORS = {1: ("brightness",), 3: ("red", "green", "blue")}
_EPOCHS = 12
_TABLES: dict[Media, str] = {"picture": "picture", "sound": "sound", "array": "windows"}


def load_task_file(path: Path) -> Task:
    """Return the task that a TOML file describes.

    Args:
        path: the file. Paths in it are relative to its folder.

    Raises:
        TaskError: the file cannot be read or is not TOML, a key is unknown or missing, or a value
            is not allowed. The text names the line, and for an unknown key the nearest known one.
        DatasetError: a pattern is wrong.
        RecipeError: a value of a recipe is out of its range.
    """
    top = read_toml(path)
    media: Media = top.text("media", allowed=get_args(Media))  # type: ignore[assignment]
    kind = _kind(top)
    pieces = _MEDIA[media](top.table(_TABLES[media]))
    labels, groups, split = top.table("labels"), top.table("groups"), top.table("split")
    signature = Signature(
        kind=kind.kind,
        media=media,
        classes=kind.classes,
        values=[_value(table) for table in top.tables("values")],
        **pieces.pop("signature"),
    )
    windows = pieces.get("windows")
    if windows is not None:
        pieces["windows"] = _with_labels(windows, labels, kind)
    plan = Plan(places=_places(labels, groups), kind=kind, split=_split(split), **pieces)
    data = FolderData(
        folder=top.path("data"),
        media=media,
        plan=plan,
        table=labels.path("table") if "table" in labels else None,
        signature=signature,
    )
    front_end = read_log_mel(top.table("log_mel"), signature.rate_hz) if media == "sound" else None
    teacher, student = top.table("teacher"), top.table("student")
    task = Task(
        name=top.text("name"),
        signature=signature,
        load=data,
        **_teacher(teacher, kind.kind, front_end),
        student=read_student(student, front_end),
        student_recipe=read_recipe(student.table("training"), Recipe(epochs=_EPOCHS)),
        augment=_augmentation(top.table("augment")),
        wire_tolerance=top.number("wire_tolerance", 0.001),
        keep_inputs=_keep_inputs(top),
    )
    for table in (labels, groups, split, teacher, student, top):
        table.end()
    return task


def _teacher(table: TomlTable, kind: Kind, front_end: LogMel | None) -> dict[str, Any]:
    """Return a task's teacher and its recipe, which is None for a teacher in a file."""
    if "file" in table:
        return {"teacher": read_teacher_file(table), "teacher_recipe": None}
    table.known("file")
    recipe = read_recipe(table.table("training"), Recipe(epochs=_EPOCHS))
    return {"teacher": read_teacher(table, kind, front_end), "teacher_recipe": recipe}


def _kind(top: TomlTable) -> LabelKind:
    kind: Kind = top.text("kind", "single-label", allowed=get_args(Kind))  # type: ignore[assignment]
    if kind == "regression":
        return LabelKind(kind=kind, values=[table.text("name") for table in top.tables("values")])
    return LabelKind(kind=kind, classes=top.texts("classes"))


def _keep_inputs(top: TomlTable) -> KeepInputs | None:
    if "keep_inputs" not in top:
        top.known("keep_inputs")
        return None
    return top.text("keep_inputs", allowed=get_args(KeepInputs))  # type: ignore[return-value]


def _value(table: TomlTable) -> Value:
    value = Value(
        name=table.text("name"), unit=table.text("unit", ""), tolerance=table.number("tolerance")
    )
    table.end()
    return value


def _picture(table: TomlTable) -> dict[str, Any]:
    size, channels = table.wholes("size"), table.whole("channels", 3)
    if len(size) != 2:
        raise table.error("size", f"found {list(size)}; allowed: [height, width]")
    if channels not in _COLORS:
        raise table.error("channels", f"found {channels}; allowed: 1 (brightness), 3 (colors)")
    table.end()
    names = _COLORS[channels]
    units = ["share of white"] * channels
    return {"signature": {"shape": [channels, *size], "channels": names, "units": units}}


def _sound(table: TomlTable) -> dict[str, Any]:
    rate_hz, seconds = table.whole("rate_hz"), table.number("seconds")
    length = round(rate_hz * seconds)
    if length < 1:
        raise table.error("seconds", f"found {seconds:g}, which is less than one sample")
    convert = table.flag("convert", default=False)
    table.end()
    signature = {
        "shape": [1, length],
        "channels": ["sound"],
        "units": ["full scale"],
        "rate_hz": rate_hz,
    }
    return {"signature": signature, "rate_hz": rate_hz, "length": length, "convert": convert}


def _windows(table: TomlTable) -> dict[str, Any]:
    channels = table.texts("channels")
    length = table.whole("length")
    units = table.texts("units", [""] * len(channels))
    if len(units) != len(channels):
        raise table.error("units", f"found {len(units)} units for {len(channels)} channels")
    if not channels:
        raise table.error("channels", "the list is empty; name the columns with measured values")
    plan = WindowPlan(channels=channels, length=length, hop=table.whole("hop", length))
    table.end()
    signature = {"shape": [len(channels), length], "channels": channels, "units": units}
    return {"signature": signature, "windows": plan}


_MEDIA = {"picture": _picture, "sound": _sound, "array": _windows}


def _with_labels(windows: WindowPlan, labels: TomlTable, kind: LabelKind) -> WindowPlan:
    in_column = labels.text("place") == "column"
    regression = kind.kind == "regression"
    return WindowPlan(
        channels=windows.channels,
        length=windows.length,
        hop=windows.hop,
        label=labels.text("column") if in_column and not regression else "",
        unlabeled=labels.text("unlabeled", "") if in_column and not regression else "",
        targets=kind.values if in_column and regression else (),
    )


def _places(labels: TomlTable, groups: TomlTable) -> Places:
    places = Places(
        labels=labels.text("place", allowed=get_args(LabelPlace)),  # type: ignore[arg-type]
        groups=groups.text("place", "none", allowed=get_args(GroupPlace)),  # type: ignore[arg-type]
        pattern=labels.text("pattern", ""),
    )
    if "name" in {places.labels, places.groups}:
        compiled(places.pattern)
    if places.labels == "table" or places.groups == "table":
        labels.text("table")  # required
    return places


def _split(table: TomlTable) -> SplitPlan:
    seed = table.whole("seed", 0, low=0)
    return SplitPlan(
        by=table.text("by", "input", allowed=("folder", "group", "input")),  # type: ignore[arg-type]
        calibration=table.share_or_texts("calibration", CALIBRATION_SHARE),
        test=table.share_or_texts("test", TEST_SHARE),
        seed=seed if "seed" in table else None,
    )


def _augmentation(table: TomlTable) -> Augmentation:
    values: dict[str, Any] = {
        "flip": table.flag("flip", default=False),
        **{name: table.whole(name, 0, low=0) for name in ("shift", "erase", "mute")},
        **{
            name: table.number(name, 0.0)
            for name in ("stretch", "scale", "speed", "tone_db", "level_db", "noise_db")
        },
    }
    table.end()
    return Augmentation(**values)
