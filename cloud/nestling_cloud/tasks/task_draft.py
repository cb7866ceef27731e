"""Writes task files in TOML."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestling_cloud.datasets.facts import Media
from nestling_cloud.datasets.proposal import Proposal
from nestling_cloud.tasks.default_models import default_models

_WHAT = {"picture": "pictures", "sound": "sounds", "array": "windows of recordings"}
_LONGEST_COMMENTED = 50  # characters before a comment on the same line
_KINDS = "single-label, multi-label, regression or anomaly"


@dataclass(frozen=True, kw_only=True)
class TaskDraft:
    """What a new task file says.

    Attributes:
        name: the name of the task.
        media: what the files of the folder hold.
        folder: the folder.
        table: the table of labels, or None.
        proposal: what a task of the folder would be.
        inputs: the number of inputs for training, by which the training is made longer or shorter.
    """

    name: str
    media: Media
    folder: Path
    table: Path | None
    proposal: Proposal
    inputs: int


def write_draft(draft: TaskDraft, path: Path) -> str:
    """Return the text of a task file.

    Args:
        draft: what it says.
        path: the place of the file, to which the paths in it are relative.
    """
    return "\n".join(_lines(draft, path)) + "\n"


def _lines(draft: TaskDraft, path: Path) -> Iterator[str]:
    plan = draft.proposal.plan
    kind = plan.kind
    yield f"# A task of {_WHAT[draft.media]}. Edit it, then:"
    yield f"#   nestling-sim run --task {path.name}"
    yield f"#   nestling-cloud bundle train --task {path.name} --repository repository"
    yield ""
    yield _pair("name", draft.name, "stays the same for all releases")
    yield _pair("kind", kind.kind, _KINDS)
    yield _pair("media", draft.media)
    yield _pair("data", _relative(draft.folder, path), "a folder, relative to this file")
    if kind.classes:
        yield _pair("classes", list(kind.classes), "the order is that of the model's outputs")
    yield ""
    yield from _MEDIA[draft.media](draft)
    yield ""
    yield from _labels(draft, path)
    yield ""
    yield from _split(draft)
    for value, tolerance in zip(kind.values, draft.proposal.tolerances, strict=True):
        yield ""
        yield "[[values]]"
        yield _pair("name", value, "what is estimated")
        yield _pair("unit", "")
        yield _pair("tolerance", tolerance, "an error up to this counts as right; set your own")
    for name, table in _models(draft).items():
        yield ""
        yield f"[{name}]"
        yield from (_pair(key, value) for key, value in table.items())


def _picture(draft: TaskDraft) -> Iterator[str]:
    channels, height, width = draft.proposal.size
    yield "[picture]"
    yield _pair("size", [height, width], "height and width; the middle is kept, then scaled")
    yield _pair("channels", channels, "3: red, green, blue; 1: brightness")


def _sound(draft: TaskDraft) -> Iterator[str]:
    plan = draft.proposal.plan
    yield "[sound]"
    yield _pair("rate_hz", plan.rate_hz, "devices have to record at this rate")
    yield _pair(
        "seconds",
        plan.length / plan.rate_hz,
        "of longer sounds the middle is kept; zeros are put around shorter ones",
    )
    yield _pair("convert", plan.convert, "convert files of other rates for the training")


def _windows(draft: TaskDraft) -> Iterator[str]:
    windows = draft.proposal.plan.windows
    assert windows is not None
    yield "[windows]"
    yield _pair("channels", list(windows.channels), "the columns that are inputs")
    yield _pair("units", [""] * len(windows.channels), "their physical units")
    yield from (f"# column {name!r} {reason}" for name, reason in draft.proposal.dropped)
    yield _pair("length", windows.length, "rows in a window")
    yield _pair("hop", windows.hop, "rows from a window to the next one")


_MEDIA = {"picture": _picture, "sound": _sound, "array": _windows}


def _labels(draft: TaskDraft, path: Path) -> Iterator[str]:
    plan = draft.proposal.plan
    yield "[labels]"
    yield _pair("place", plan.places.labels, "folder, name, table or column")
    if plan.places.pattern:
        yield f"pattern = '{plan.places.pattern}'"
    if draft.table is not None:
        yield _pair("table", _relative(draft.table, path))
    if plan.windows is not None and plan.windows.label:
        yield _pair("column", plan.windows.label)
        if plan.windows.unlabeled:
            yield _pair("unlabeled", plan.windows.unlabeled, "recordings without this column")
    yield ""
    yield "[groups]"
    yield _pair("place", plan.places.groups, "none, folder, name, table or file")


def _split(draft: TaskDraft) -> Iterator[str]:
    split = draft.proposal.plan.split
    yield '# With by = "group", each group is in one part only. All the rest is training data.'
    yield "[split]"
    yield _pair("by", split.by, "folder (train/, test/), group or input")
    yield _pair("calibration", _share(split.calibration), "groups, or a share")
    if split.by != "folder":
        yield _pair("test", _share(split.test), "groups, or a share")
    yield "# seed = 0  # the same division whatever the seed of the run"


def _share(found: Sequence[str] | float) -> Any:
    return found if isinstance(found, float | int) else list(found)


def _models(draft: TaskDraft) -> Mapping[str, Mapping[str, Any]]:
    plan = draft.proposal.plan
    length = plan.windows.length if plan.windows is not None else plan.length
    shape = draft.proposal.size if draft.media == "picture" else (1, length)
    return default_models(draft.media, shape, draft.inputs, plan.kind.kind)


def _pair(key: str, value: Any, comment: str = "") -> str:
    text = f"{key} = {_toml(value)}"
    if not comment:
        return text
    return f"{text}  # {comment}" if len(text) <= _LONGEST_COMMENTED else f"# {comment}\n{text}"


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    # JSON's texts, numbers, true and false are TOML's too, if nothing is escaped as a pair.
    return json.dumps(value, ensure_ascii=False)


def _relative(target: Path, path: Path) -> str:
    return Path(os.path.relpath(target.resolve(), path.parent.resolve())).as_posix()
