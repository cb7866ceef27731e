"""Reads a folder of labeled inputs that `export` wrote.

The table `labels.csv` says which files there are, and their labels and groups; other files are not
read.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.errors import CloudError
from nestling_cloud.inputs.export import TABLE
from nestling_cloud.inputs.input_file import InputFileError, decode_input
from nestling_cloud.inputs.label_forms import label_columns, label_in
from nestling_cloud.store.label import Label, LabelError, label_array
from nestling_core.kinds.kind import Answers


class InputFolderError(CloudError):
    """Raised when a folder of inputs cannot be read, or does not fit the task."""


@dataclass(frozen=True, kw_only=True)
class LabeledFolder:
    """The labeled inputs of a folder.

    Attributes:
        folder: the folder.
        inputs: the inputs, (N, *shape).
        labels: the label of each, (N, ...), as in `Examples`.
        groups: the group of each: the device that sent it.
        unlabeled: the number of further inputs, which have no label.
    """

    folder: Path
    inputs: NDArray[np.float32]
    labels: Answers
    groups: tuple[str, ...]
    unlabeled: int


def read_folder(folder: Path, signature: Signature) -> LabeledFolder:
    """Return the labeled inputs of a folder.

    Args:
        folder: the folder, with `labels.csv` in it.
        signature: the signature of the task.

    Raises:
        InputFolderError: the table is missing or cannot be read, names a file outside the folder,
            a label that the task does not have or no group, or a file does not fit the task. The
            text names the line.
    """
    labels, groups, unlabeled = list[Label](), list[str](), 0
    inputs = list[NDArray[np.float32]]()
    needed = ("file", *label_columns(signature), "group")
    for line, row in _rows(folder / TABLE, needed):
        try:
            label = label_in(row, signature)
            if label is None:
                unlabeled += 1
                continue
            inputs.append(decode_input(_inside(folder, row["file"]), signature.shape))
        except LabelError as err:
            raise InputFolderError(f"{folder / TABLE}, line {line}: {err}") from err
        except InputFileError as err:
            raise InputFolderError(f"{folder / TABLE}, line {line}: {row['file']} {err}") from err
        if not row["group"]:
            raise InputFolderError(
                f"{folder / TABLE}, line {line}: no group; name the device or the subject"
            )
        labels.append(label)
        groups.append(row["group"])
    return LabeledFolder(
        folder=folder,
        inputs=np.stack(inputs) if inputs else np.empty((0, *signature.shape), np.float32),
        labels=label_array(labels, signature),
        groups=tuple(groups),
        unlabeled=unlabeled,
    )


def _rows(path: Path, needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Return the lines of a table by column, with their numbers."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise InputFolderError(f"{path} has no column {', '.join(missing)}")
            return [(reader.line_num, row) for row in reader]
    except (OSError, csv.Error, UnicodeDecodeError) as err:
        raise InputFolderError(
            f"cannot read {path}: {getattr(err, 'strerror', None) or err}; "
            "`nestling-cloud inputs export` writes it"
        ) from err


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a file that a table names.

    Raises:
        InputFileError: it would be outside of the folder.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise InputFileError("is not the name of a file in this folder")
    return folder / path
