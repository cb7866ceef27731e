"""Writes stored inputs as a folder that a task can be made from, or trained further with.

The folder has one folder for each class, `unlabeled` for inputs without a label, and `labels.csv`,
which says everything about each file. The table counts; folders are for people.
"""

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nestling_cloud.errors import CloudError
from nestling_cloud.inputs.input_file import InputFileError, encode_input, input_values
from nestling_cloud.inputs.released_labels import ReleasedLabels
from nestling_cloud.store.labeled_inputs import InputFilter, LabeledInputs, StoredInput
from nestling_cloud.temporary_files import temporary_folder
from nestling_core.file_sync import sync_folder

TABLE = "labels.csv"
COLUMNS = (
    "file",
    "label",
    "group",
    "device",
    "time",
    "device_answer",
    "cloud_answer",
    "device_confidence",
    "labeled_by",
)
UNLABELED = "unlabeled"
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
        released: the classes of the released bundle.
        folder: the folder to write; it must not exist, or be empty.
        label_with_cloud: whether inputs without a label get the cloud's answer as their label in
            the table. They stay in the folder `unlabeled`.

    Raises:
        InputExportError: the folder is not empty, there is no such input, the disk is full, or a
            class of the task has the name of the folder for inputs without a label.
    """
    if UNLABELED in released.signature.classes:
        raise InputExportError(f"a class is called {UNLABELED!r}, like the folder for no class")
    folder = folder.absolute()
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputExportError(f"{folder} exists already and is not an empty folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(_MAKING, folder.parent) as making:
            rows = _Rows(stored, released, making, label_with_cloud=label_with_cloud)
            _write_table(making / TABLE, rows.write_all(chosen))
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
        self._folders = _folder_names(released.signature.classes)
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
        folder = self._folders.get(one.label or "", UNLABELED if one.label is None else None)
        if one.task != self._released.task:
            return None
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
        cloud = self._released.name(one.cloud_answer)
        by_cloud = one.label is None and self._label_with_cloud and cloud is not None
        return (
            file.as_posix(),
            cloud if by_cloud else one.label or "",
            one.device,
            one.device,
            _time(one.received_at_ms),
            self._released.name(one.device_answer) or "",
            cloud or "",
            "" if confidence is None else f"{confidence:.6g}",
            CLOUD if by_cloud else one.labeled_by or "",
        )


def _write_table(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
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
