"""Writes stored inputs as a folder that a task can be made from, or trained further with.

The folder has one folder for each class, `unlabeled` for inputs without a label, and `labels.csv`,
which says everything about each file. The table counts; folders are for people. If an input may
have several classes, or none but values, all files are in one folder, `inputs`.
"""

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.datasets.label_table import BESIDE, SEPARATOR
from nestling_cloud.errors import CloudError
from nestling_cloud.inputs.input_file import InputFileError, encode_input, input_values
from nestling_cloud.inputs.label_forms import (
    label_columns,
    label_fields,
    label_line,
    unwritable_class,
)
from nestling_cloud.inputs.released_labels import ReleasedLabels
from nestling_cloud.store.label import Label, LabelError
from nestling_cloud.store.labeled_inputs import InputFilter, LabeledInputs, StoredInput
from nestling_cloud.temporary_files import temporary_folder
from nestling_core.file_sync import sync_folder
from nestling_core.kinds.kind import name_of

TABLE = "labels.csv"
FILE = "file"
# The columns after those of the label.
COLUMNS = ("group", *BESIDE)
UNLABELED = "unlabeled"
TOGETHER = "inputs"
CLOUD = "cloud"
_MAKING = ".nestling-export-"
_TOGETHER = 500


class InputExportError(CloudError):
    """Raised when stored inputs cannot be exported."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export wrote.

    Attributes:
        folder: the folder.
        inputs: the number of inputs.
        labeled: the number of those with a label that somebody gave.
        skipped: the number of inputs that could not be read, or whose label the task does not have.
    """

    folder: Path
    inputs: int
    labeled: int
    skipped: int


def export_inputs(
    stored: LabeledInputs,
    chosen: InputFilter,
    released: ReleasedLabels,
    folder: Path,
    *,
    label_with_cloud: bool = False,
) -> Exported:
    """Write inputs to a new folder, which appears only when it is complete.

    Args:
        stored: the stored inputs.
        chosen: the conditions that the inputs must meet. Only those of the released task are taken.
        released: the labels of the released bundle.
        folder: the folder to write; it must not exist, or be empty.
        label_with_cloud: whether inputs without a label get the cloud's answer as their label in
            the table. They stay in the folder `unlabeled`.

    Raises:
        InputExportError: the folder is not empty, there is no such input, the disk is full, or a
            name of the task cannot stand in the table or for a folder.
    """
    _check_names(released.signature)
    folder = folder.absolute()
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputExportError(f"{folder} exists already and is not an empty folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(_MAKING, folder.parent) as making:
            rows = _Rows(stored, released, making, label_with_cloud=label_with_cloud)
            columns = (FILE, *label_columns(released.signature), *COLUMNS)
            _write_table(making / TABLE, columns, rows.write_all(chosen))
            exported = Exported(
                folder=folder, inputs=rows.inputs, labeled=rows.labeled, skipped=rows.skipped
            )
            if not exported.inputs:
                raise InputExportError(f"no input of the task {released.task!r} fits")
            making.rename(folder)
        sync_folder(folder.parent)
    except OSError as err:
        raise InputExportError(
            f"cannot write {folder}: {err.strerror or err}; nothing was exported"
        ) from err
    return exported


class _Rows:
    """Writes the files of inputs, and yields the rows of the table."""

    def __init__(
        self, stored: LabeledInputs, released: ReleasedLabels, root: Path, *, label_with_cloud: bool
    ) -> None:
        self._stored = stored
        self._released = released
        self._root = root
        self._label_with_cloud = label_with_cloud
        self._folders = _Folders(released.signature)
        self.inputs = self.labeled = self.skipped = 0

    def write_all(self, chosen: InputFilter) -> Iterator[Sequence[object]]:
        for some in _batched(self._stored.all(chosen)):
            confidences: dict[int, float] = {}
            for device in {one.device for one in some}:
                confidences |= self._stored.confidences([o for o in some if o.device == device])
            for one in some:
                row = self._write(one, confidences.get(one.id))
                if row is not None:
                    yield row

    def _write(self, one: StoredInput, confidence: float | None) -> Sequence[object] | None:
        if one.task != self._released.task:
            return None
        folder = self._folder(one)
        values = self._stored.values(one.id)
        if values is None:  # deleted meanwhile
            return None
        try:
            suffix, content = encode_input(input_values(values, one.shape))
        except InputFileError:
            folder = None
        if folder is None:
            self.skipped += 1
            return None
        file = Path(folder) / f"{one.device}-{one.id}{suffix}"
        (self._root / folder).mkdir(exist_ok=True)
        (self._root / file).write_bytes(content)
        self.inputs += 1
        self.labeled += one.label is not None
        cloud = self._released.label(one.task, one.cloud_answer)
        device = self._released.label(one.task, one.device_answer)
        by_cloud = one.label is None and self._label_with_cloud and cloud is not None
        return (
            file.as_posix(),
            *label_fields(cloud if by_cloud else one.label, self._released.signature),
            one.device,
            one.device,
            _time(one.received_at_ms),
            "" if device is None else label_line(device),
            "" if cloud is None else label_line(cloud),
            "" if confidence is None else f"{confidence:.6g}",
            CLOUD if by_cloud else one.labeled_by or "",
        )

    def _folder(self, one: StoredInput) -> str | None:
        """Return the folder for an input, or None if the task does not have its label."""
        if one.label is None:
            return self._folders.unlabeled
        try:
            return self._folders.of(self._released.check(one, one.label))
        except LabelError:
            return None


class _Folders:
    """Chooses the folder of each file."""

    def __init__(self, signature: Signature) -> None:
        by_class = name_of(signature) in {"single-label", "anomaly"}
        self._names = _folder_names(signature.classes) if by_class else {}
        self.unlabeled = UNLABELED if by_class else TOGETHER

    def of(self, label: Label) -> str:
        return self._names[label] if isinstance(label, str) else TOGETHER


def _check_names(signature: Signature) -> None:
    """Check that the names in a signature can be written.

    Raises:
        InputExportError: one of them cannot.
    """
    if UNLABELED in signature.classes:
        raise InputExportError(
            f"a class is called {UNLABELED!r}, which is the name of the folder for inputs without "
            "a label; rename the class in the task"
        )
    odd = unwritable_class(signature)
    if odd is not None:
        raise InputExportError(
            f"the class {odd!r} cannot stand in a table, where the names of classes are joined by "
            f"{SEPARATOR!r}; rename it in the task"
        )
    taken = {FILE, *COLUMNS} & {value.name for value in signature.values}
    if taken:
        raise InputExportError(
            f"a value is called {min(taken)!r}, like another column of {TABLE}; rename it in the "
            "task"
        )


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _folder_names(classes: Sequence[str]) -> dict[str, str]:
    """Return a folder name for each class: its own name as far as a file system takes it."""
    names: dict[str, str] = {}
    for label in classes:
        plain = "".join(c if c.isalnum() or c in " -_+." else "_" for c in label).lstrip(". ")
        name = plain.rstrip()[:100] or "class"
        taken = {*names.values(), UNLABELED, TABLE}
        numbered = (f"{name}-{number}" for number in itertools.count(2))
        names[label] = name if name not in taken else next(n for n in numbered if n not in taken)
    return names


def _time(at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _batched(given: Iterable[StoredInput]) -> Iterator[list[StoredInput]]:
    every = iter(given)
    while some := list(itertools.islice(every, _TOGETHER)):
        yield some
