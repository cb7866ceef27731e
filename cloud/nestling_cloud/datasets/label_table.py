"""Reads tables of labels: CSV files with a row for each file."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nestling_cloud.datasets.errors import DatasetError
from nestling_core.parsing.text import EncodingError, decode_text

SEPARATOR = "|"
"""Stands between the labels of a file that has several."""

BESIDE = (
    "device",
    "time",
    "device_answer",
    "cloud_answer",
    "device_confidence",
    "labeled_by",
)
"""Columns of an export of stored inputs that are neither labels nor groups."""

_LABELED_BY = BESIDE[-1]
_FILE = ("file", "filename", "file_name", "path", "name", "image", "sound", "id")
_LABEL = ("label", "labels", "class", "classes", "target", "value", "y", "anomaly")
_GROUP = ("group", "subject", "speaker", "session", "machine", "patient", "user", "person")
_PART = ("split", "part", "set", "fold")


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """A row of a table of labels.

    Attributes:
        labels: the labels of the file, or the values that a regression estimates; empty if the
            table leaves them out.
        group: the group of the file, or "".
        part: the name of the part of the data, such as "train", or "".
        may_lack_labels: whether a file without labels belongs to none of several classes.
    """

    labels: Sequence[str]
    group: str = ""
    part: str = ""
    may_lack_labels: bool = False


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """A table of labels.

    Attributes:
        path: the path of the table.
        columns: the names of the columns that hold labels.
        rows: the rows by the names of their files, as the table writes them.
        is_multiple: whether a file may have several labels, separated by `|`.
        has_groups: whether there is a column of groups.
    """

    path: Path
    columns: Sequence[str]
    rows: Mapping[str, LabelRow]
    is_multiple: bool
    has_groups: bool

    def row_of(self, name: str) -> LabelRow | None:
        """Return the row of a file, or None if there is none.

        The table may name files by their path below the folder or by their name alone, with or
        without the extension.

        Args:
            name: the path of the file below the folder.
        """
        bare = name.rpartition("/")[2]
        for spelled in (name, bare, name.rpartition(".")[0], bare.rpartition(".")[0]):
            if spelled in self.rows:
                return self.rows[spelled]
        return None


def read_label_table(path: Path) -> LabelTable:
    """Read a table of labels.

    The first row names the columns: one for the file ("file"), one for its label ("label") or
    several for the values that a regression estimates, and perhaps one for its group ("group") and
    one for its part of the data ("split": train, calibration or test).

    Args:
        path: a CSV file, separated by commas, semicolons or tabs.

    Raises:
        DatasetError: the table cannot be read, a column is missing, there are no rows, or a row has
            another number of fields than the first one, names no file or names one again. For a
            row, the text names the line.
    """
    header, lines = _lines(path)
    file, group, part = (_column(header, known) for known in (_FILE, _GROUP, _PART))
    if file is None:
        raise DatasetError(
            f"{path}: no column of files; its first row is {', '.join(header)}; call one 'file'"
        )
    label = _column(header, _LABEL)
    by = header.index(_LABELED_BY) if set(BESIDE) <= set(header) else None
    taken = {file, group, part, *(header.index(name) for name in BESIDE if by is not None)}
    columns = [label] if label is not None else [i for i in range(len(header)) if i not in taken]
    if not columns:
        raise DatasetError(f"{path}: no column of labels; call one 'label'")
    is_multiple = label is not None and any(SEPARATOR in fields[label] for _, fields in lines)
    rows = dict[str, LabelRow]()
    for number, fields in lines:
        name = fields[file].strip().replace("\\", "/").removeprefix("./")
        if not name or name in rows:
            problem = f"names {name!r} again" if name else "names no file"
            raise DatasetError(f"{path}, line {number}: it {problem}")
        texts = [fields[index].strip() for index in columns]
        if is_multiple:
            texts = [text.strip() for text in texts[0].split(SEPARATOR) if text.strip()]
        elif not all(texts):
            texts = []
        rows[name] = LabelRow(
            labels=tuple(texts),
            group="" if group is None else fields[group].strip(),
            part="" if part is None else fields[part].strip(),
            # Where the table says who labeled a file, a file may also wait for its labels.
            may_lack_labels=is_multiple and (by is None or bool(fields[by])),
        )
    return LabelTable(
        path=path,
        columns=[header[index] for index in columns],
        rows=rows,
        is_multiple=is_multiple,
        has_groups=group is not None,
    )


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the names of the columns, and the number and the fields of every other line."""
    try:
        text = decode_text(path.read_bytes())
    except (OSError, EncodingError) as err:
        raise DatasetError(f"{path}: not a readable table: {err}") from err
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=max(";\t,", key=first.count))
    try:
        lines = [(reader.line_num, fields) for fields in reader if any(fields)]
    except csv.Error as err:
        raise DatasetError(f"{path}, line {reader.line_num}: not a CSV file: {err}") from err
    if len(lines) < 2:
        raise DatasetError(
            f"{path} has no rows; its first row names the columns, and each row below it describes "
            "a file"
        )
    header = [name.strip() for name in lines[0][1]]
    for number, fields in lines[1:]:
        if len(fields) != len(header):
            raise DatasetError(
                f"{path}, line {number}: {len(fields)} fields instead of {len(header)}"
            )
    return header, lines[1:]


def _column(header: Sequence[str], known: Sequence[str]) -> int | None:
    """Return the place of the first known name among the columns, or None."""
    lowered = [name.lower() for name in header]
    return next((lowered.index(name) for name in known if name in lowered), None)
