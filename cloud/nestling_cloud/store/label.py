"""Checks the labels that people give to stored inputs, and writes them as JSON.

A label is a JSON value whose form depends on the kind of the task. In a single-label task it is the
name of a class, and in an anomaly task the name of what is normal or of the anomaly.
"""

import json

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.errors import CloudError
from nestling_core.kinds.kind import name_of
from nestling_core.parsing.untrusted_data import parse_json

Label = str

_OF_ONE_CLASS = frozenset({"single-label", "anomaly"})


class LabelError(CloudError):
    """Raised when a label is not one that the task has."""


def check_label(label: object, signature: Signature) -> Label:
    """Return a label that somebody gave to an input, after checking it.

    Args:
        label: the JSON value, from a request or a command line.
        signature: the signature of the task.

    Raises:
        LabelError: it is not the name of a class (the text lists the names), or the task is not of
            a kind whose inputs have one class each.
    """
    kind = name_of(signature)
    if kind not in _OF_ONE_CLASS:
        raise LabelError(f"inputs of a {kind} task cannot be labeled, only those of one class each")
    if isinstance(label, str) and label in signature.classes:
        return label
    names = ", ".join(json.dumps(name, ensure_ascii=False) for name in signature.classes)
    raise LabelError(f"{_shown(label)} is not a class of the task; its classes: {names}")


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
    if not isinstance(label, str):
        raise TypeError("its label is not the name of a class")
    return label


def _shown(label: object) -> str:
    text = json.dumps(label, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:100]}…"
