"""Describes the errors in a scenario file.

A description names the place in the file, the value found there and the values allowed there.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from pydantic_core import ErrorDetails

_LIMITS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def closest(found: object, known: Iterable[str]) -> str:
    """Return a suggestion to append to the message about an unknown name.

    Args:
        found: the unknown name.
        known: the names that are allowed.

    Returns:
        The suggestion, or "" if no allowed name is similar to the unknown one.
    """
    near = get_close_matches(str(found), sorted(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def root_faults(faults: Iterable[ErrorDetails]) -> list[ErrorDetails]:
    """Return pydantic's errors without those that are only consequences of others.

    An error about the length of a list is left out if an entry of the list has an error.
    """
    every = list(faults)
    inner = {fault["loc"][:1] for fault in every if len(fault["loc"]) > 1}
    return [
        fault for fault in every if not (fault["type"] == "too_short" and fault["loc"] in inner)
    ]


def describe(fault: ErrorDetails, keys: Mapping[str, Iterable[str]]) -> str:
    """Return a sentence that describes one validation error.

    Args:
        fault: the error as pydantic lists it.
        keys: a mapping from the name of each table to its allowed keys. The name of a
            `[[conditions]]` table is its kind, and the name of the top level of the file is "".
    """
    place = _place(fault["loc"])
    text = _sentence(fault, keys)
    return f"{place}: {text}" if place else text


def _place(loc: tuple[int | str, ...]) -> str:
    """Describe a place in the file; tables of the same name are counted from 1."""
    match loc:
        case ():
            return ""
        case (str() as table, int() as index, *inner):
            place = f"[[{table}]] table {index + 1}"
            # pydantic puts the kind of a conditions table between its index and its key
            rest = inner[1:] if table == "conditions" else inner
        case (str() as table, *rest) if rest:
            place = f"[{table}]"
        case _:
            return f"key {loc[0]}"
    return ", ".join([place, *(f"key {step}" for step in rest if isinstance(step, str))])


def _sentence(fault: ErrorDetails, keys: Mapping[str, Iterable[str]]) -> str:
    found, context = fault["input"], fault.get("ctx", {})
    match fault["type"]:
        case "extra_forbidden":
            allowed = sorted(keys[_table(fault["loc"])])
            near = closest(fault["loc"][-1], allowed)
            text = f"unknown key{near}; allowed: {', '.join(allowed)}"
        case "missing":
            text = "this key is missing"
        case "literal_error":
            text = _not_allowed(found, context["expected"].replace(" or ", ", "))
        case "union_tag_invalid":
            text = "key kind: " + _not_allowed(context["tag"], context["expected_tags"])
        case "union_tag_not_found":
            text = "key kind is missing"
        case "tuple_type":
            text = f"found {found!r}; allowed: a list"
        case "value_error":
            text = str(context["error"])
        case kind if kind in _LIMITS:
            limit, phrase = _LIMITS[kind]
            text = f"found {found!r}; allowed: {phrase} {context[limit]:g}"
        case _:
            text = f"found {found!r}; {fault['msg']}"
    return text


def _table(loc: tuple[int | str, ...]) -> str:
    return next((step for step in reversed(loc[:-1]) if isinstance(step, str)), "")


def _not_allowed(found: object, expected: str) -> str:
    names = [name.strip().strip("'") for name in expected.split(",")]
    return f"found {found!r}{closest(found, names)}; allowed: {', '.join(names)}"
