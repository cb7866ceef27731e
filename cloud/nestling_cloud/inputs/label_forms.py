"""Writes labels into tables and onto command lines, and reads them from there.

In a table, a regression task has a column for each of its values, and any other task the column
`label`. In a multi-label task, the column holds the names of the classes, joined by `|`, and
`|` alone for none of them. An empty field means that the input has no label.

On a command line, the words of a label are the names of classes, or NAME=NUMBER.
"""

from collections.abc import Mapping, Sequence

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.datasets.label_table import SEPARATOR
from nestling_cloud.store.label import Label, LabelError, check_label
from nestling_core.kinds.kind import name_of

_LABEL = "label"


def label_columns(signature: Signature) -> tuple[str, ...]:
    """Return the names of the columns with the label of an input."""
    return tuple(value.name for value in signature.values) or (_LABEL,)


def label_fields(label: Label | None, signature: Signature) -> tuple[str, ...]:
    """Return a checked label, or None for no label, as the fields of these columns."""
    if isinstance(label, dict):
        return tuple(_number(label[name]) for name in label_columns(signature))
    if isinstance(label, list):
        return (SEPARATOR.join(label) or SEPARATOR,)
    return (label or "",) * len(label_columns(signature))


def label_in(row: Mapping[str, str], signature: Signature) -> Label | None:
    """Return the label in a row of a table, or None if there is none.

    Args:
        row: the fields of the row by the names of their columns.
        signature: the signature of the task.

    Raises:
        LabelError: it is not a label of the task.
    """
    fields = {name: row[name] for name in label_columns(signature)}
    if not any(fields.values()):
        return None
    match name_of(signature):
        case "regression":
            numbers = {name: _parsed(name, text) for name, text in fields.items()}
            return check_label(numbers, signature)
        case "multi-label":
            names = (name.strip() for name in fields[_LABEL].split(SEPARATOR))
            return check_label([name for name in names if name], signature)
        case _:
            return check_label(fields[_LABEL], signature)


def unwritable_class(signature: Signature) -> str | None:
    """Return a class that a table, in which names are joined, cannot hold; None if it holds all."""
    if name_of(signature) != "multi-label":
        return None
    odd = (
        name for name in signature.classes if SEPARATOR in name or name.strip() != name or not name
    )
    return next(odd, None)


def label_from_words(words: Sequence[str], signature: Signature) -> object:
    """Return the label that the words of a command line describe, not yet checked.

    Raises:
        LabelError: the task needs NAME=NUMBER, and a word is something else, or names a value
            again.
    """
    match name_of(signature):
        case "regression":
            numbers: dict[str, float] = {}
            for word in words:
                name, _, text = word.rpartition("=")
                if not name or name in numbers:
                    columns = ", ".join(f"{name}=NUMBER" for name in label_columns(signature))
                    raise LabelError(f"{word!r} is not one of {columns}")
                numbers[name] = _parsed(name, text)
            return numbers
        case "multi-label":
            return list(words)
        case _:
            return words[0] if len(words) == 1 else list(words)


def label_line(label: Label) -> str:
    """Return a label as one line: its words, as on a command line but without quotes."""
    if isinstance(label, dict):
        return " ".join(f"{name}={_number(value)}" for name, value in label.items())
    if isinstance(label, list):
        return f" {SEPARATOR} ".join(label) or "none"
    return label


def _number(value: float) -> str:
    """Return a value with the digits that single precision has."""
    return f"{value:.9g}"


def _parsed(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as err:
        raise LabelError(f"{text!r} is not a number, for {name!r}") from err
