"""Checks the labels that people give to stored inputs, and writes them as JSON.

A label is a JSON value whose form depends on the kind of the task:

    single-label    the name of the class
    multi-label     a list of the names of the classes that the input has, which may be empty
    regression      an object with a number for the name of each value
    anomaly         the name of what is normal, or of the anomaly
"""

import json
from collections.abc import Sequence

import numpy as np

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.errors import CloudError
from nestling_core.kinds.kind import Answer, Answers, name_of
from nestling_core.parsing.untrusted_data import parse_json

Label = str | list[str] | dict[str, float]

# Values are trained on in single precision, in which numbers from here on are infinite.
_TOO_LARGE = 2**128 - 2**103


class LabelError(CloudError):
    """Raised when a label is not one that the task has."""


def check_label(label: object, signature: Signature) -> Label:
    """Return a label that somebody gave to an input, after checking it.

    Args:
        label: the JSON value, from a request or a command line.
        signature: the signature of the task.

    Returns:
        The label. The same label is always written in the same way: classes and values are in the
        order of the signature.

    Raises:
        LabelError: it is not a label of the task's kind; the text says what one is.
    """
    match name_of(signature):
        case "multi-label":
            return _check_classes(label, signature)
        case "regression":
            return _check_values(label, signature)
        case _:
            return _check_class(label, signature)


def label_of(answer: Answer, signature: Signature) -> Label:
    """Return the label of an input for which an answer is right.

    Args:
        answer: an answer that is valid in the task's kind.
        signature: the signature of the task.
    """
    match name_of(signature):
        case "multi-label":
            return [
                name for place, name in enumerate(signature.classes) if answer.code >> place & 1
            ]
        case "regression":
            return dict(zip(_names(signature), answer.values, strict=True))
        case _:
            return signature.classes[answer.code]


def label_array(labels: Sequence[Label], signature: Signature) -> Answers:
    """Return checked labels as a task's `Examples` have them, (N, ...)."""
    classes, names = list(signature.classes), _names(signature)
    match name_of(signature):
        case "multi-label":
            chosen = [[name in label for name in classes] for label in labels]
            return np.array(chosen, np.bool_).reshape(len(labels), len(classes))
        case "regression":
            rows = [[label[name] for name in names] for label in labels if isinstance(label, dict)]
            return np.array(rows, np.float32).reshape(len(labels), len(names))
        case _:
            return np.array([classes.index(str(label)) for label in labels], np.int64)


def label_text(label: Label) -> str:
    """Return a label as the JSON text in which it is stored."""
    return json.dumps(label)


def label_from(text: str) -> Label:
    """Return the label in a stored text.

    Raises:
        ValueError: the text is not JSON.
        TypeError: it is not a label.
    """
    label = parse_json(text)
    if isinstance(label, str):
        return label
    if isinstance(label, list) and all(isinstance(name, str) for name in label):
        return label
    if isinstance(label, dict) and all(type(value) is float for value in label.values()):
        return label
    raise TypeError("its label is not a class, a list of classes or an object of values")


def _check_class(label: object, signature: Signature) -> str:
    if isinstance(label, str) and label in signature.classes:
        return label
    raise LabelError(f"{_shown(label)} is not a class of the task; {_classes(signature)}")


def _check_classes(label: object, signature: Signature) -> list[str]:
    if not isinstance(label, list):
        raise LabelError(f"{_shown(label)} is not a list of classes; {_classes(signature)}")
    for name in label:
        _check_class(name, signature)
    return [name for name in signature.classes if name in label]


def _check_values(label: object, signature: Signature) -> dict[str, float]:
    names = _names(signature)
    if not isinstance(label, dict) or set(label) != set(names):
        needed = ", ".join(map(_shown, names))
        raise LabelError(f"{_shown(label)} is not an object with a number for each of {needed}")
    for name in names:
        value = label[name]
        if type(value) not in {int, float} or not abs(value) < _TOO_LARGE:
            raise LabelError(f"{_shown(value)} is not a finite number, for {_shown(name)}")
    return {name: float(label[name]) for name in names}


def _names(signature: Signature) -> list[str]:
    return [value.name for value in signature.values]


def _classes(signature: Signature) -> str:
    return f"its classes: {', '.join(map(_shown, signature.classes))}"


def _shown(label: object) -> str:
    text = json.dumps(label, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:100]}…"
