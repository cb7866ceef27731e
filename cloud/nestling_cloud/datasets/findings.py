"""Says what a folder with data holds, and what looks wrong with it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nestling_cloud.datasets.facts import Facts
from nestling_cloud.datasets.items import Part
from nestling_cloud.datasets.survey import Survey

_MOST_NAMED = 3
_SHORT = 0.25  # a sound shorter than this part of an input is mostly zeros


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that looks wrong.

    Attributes:
        kind: a short name for programs, such as "duplicates".
        text: a sentence for people.
        files: the names of the files that it is about.
    """

    kind: str
    text: str
    files: Sequence[str] = ()


def counts(survey: Survey) -> dict[str, Any]:
    """Return what a folder holds, as JSON values."""
    inputs = Counter[str]()
    for part, weight in zip(survey.parts, survey.weights, strict=True):
        inputs[part] += weight
    labels = Counter[str]()
    for item, weight in zip(survey.items, survey.weights, strict=True):
        labels.update(dict.fromkeys(item.labels, weight))
    groups = defaultdict[str, set[str]](set)
    for item, part in zip(survey.items, survey.parts, strict=True):
        groups[part].add(item.group)
    content: dict[str, Any] = {
        "media": survey.media,
        "kind": survey.plan.kind.kind,
        "files": len(survey.files),
        "set_aside": len(survey.set_aside),
        "other_files": survey.others,
        "inputs": {part: inputs[part] for part in ("train", "calibration", "test")},
        "groups": {part: sorted(names - {""}) for part, names in groups.items()},
    }
    if survey.plan.kind.classes:
        content["classes"] = {name: labels[name] for name in survey.plan.kind.classes}
    if survey.media == "array":
        rows = [facts.shape[0] for facts in survey.facts]
        content["rows"] = {"shortest": min(rows), "longest": max(rows), "all": sum(rows)}
    else:
        content["sizes"] = _most_common(_size(facts) for facts in survey.facts)
    if survey.media == "picture":
        content["modes"] = _most_common(facts.mode for facts in survey.facts)
    if survey.media == "sound":
        content["rates_hz"] = _most_common(str(facts.rate_hz) for facts in survey.facts)
        seconds = [facts.shape[1] / facts.rate_hz for facts in survey.facts]
        content["seconds"] = {"shortest": min(seconds), "longest": max(seconds)}
    return content


def problems(survey: Survey) -> list[Problem]:
    """Return everything that looks wrong with a folder."""
    return [
        *_set_aside(survey),
        *_duplicates(survey),
        *_leaks(survey),
        *_classes(survey),
        *_flat(survey),
        *(_sounds(survey) if survey.media == "sound" else ()),
        *(_pictures(survey) if survey.media == "picture" else ()),
        *(_recordings(survey) if survey.media == "array" else ()),
    ]


def _set_aside(survey: Survey) -> Iterator[Problem]:
    if survey.set_aside:
        name, reason = next(iter(survey.set_aside.items()))
        yield Problem(
            kind="set aside",
            text=f"{_files(survey.set_aside)} set aside; {name} {reason}",
            files=list(survey.set_aside),
        )


def _duplicates(survey: Survey) -> Iterator[Problem]:
    copies = defaultdict[str, list[int]](list)
    for number, facts in enumerate(survey.facts):
        copies[facts.sha256].append(number)
    repeated = [numbers for numbers in copies.values() if len(numbers) > 1]
    across = [numbers for numbers in repeated if len({survey.parts[n] for n in numbers}) > 1]
    if across:
        names = [survey.items[number].name for numbers in across for number in numbers]
        yield Problem(
            kind="duplicates between parts",
            text=f"{len(names)} files have a copy in another part of the data, which makes the "
            f"test too easy: {_named(names)}",
            files=names,
        )
    inside = [numbers for numbers in repeated if numbers not in across]
    if inside:
        names = [survey.items[number].name for numbers in inside for number in numbers]
        yield Problem(
            kind="duplicates",
            text=f"{len(names)} files have a copy in the same part of the data: {_named(names)}",
            files=names,
        )
    torn = [
        numbers for numbers in repeated if len({tuple(survey.items[n].labels) for n in numbers}) > 1
    ]
    if torn:
        names = [survey.items[number].name for numbers in torn for number in numbers]
        yield Problem(
            kind="contradictory labels",
            text=f"{len(names)} files have a copy with another label: {_named(names)}",
            files=names,
        )


def _leaks(survey: Survey) -> Iterator[Problem]:
    parts = defaultdict[str, set[Part]](set)
    for item, part in zip(survey.items, survey.parts, strict=True):
        parts[item.group].add(part)
    torn = sorted(group for group, found in parts.items() if group and len(found) > 1)
    if torn:
        yield Problem(
            kind="group leak",
            text=f"{len(torn)} {'group is' if len(torn) == 1 else 'groups are'} in several parts "
            f"of the data, which makes the test too easy: {_named(torn)}",
        )


def _classes(survey: Survey) -> Iterator[Problem]:
    if any(not item.labels for item in survey.items):
        return  # in a column, or a file with none of several labels
    held = defaultdict[str, set[str]](set)
    for item, part in zip(survey.items, survey.parts, strict=True):
        held[part].update(item.labels)
    for part in ("train", "calibration", "test"):
        missing = [name for name in survey.plan.kind.classes if name not in held[part]]
        if missing and survey.plan.kind.kind != "anomaly":
            yield Problem(
                kind="class missing", text=f"no {part} data of {', '.join(missing)}", files=()
            )


def _flat(survey: Survey) -> Iterator[Problem]:
    flat = _names(survey, (facts.is_flat for facts in survey.facts))
    if flat:
        what = {"sound": "silent", "picture": "of one color", "array": "constant"}
        yield Problem(
            kind="flat",
            text=f"{_files(flat)} {what[survey.media]}: {_named(flat)}",
            files=flat,
        )


def _sounds(survey: Survey) -> Iterator[Problem]:
    wrong = _names(survey, (facts.rate_hz != survey.plan.rate_hz for facts in survey.facts))
    if wrong:
        yield Problem(
            kind="wrong rate",
            text=f"{_files(wrong)} not at {survey.plan.rate_hz} Hz and will be converted: "
            f"{_named(wrong)}",
            files=wrong,
        )
    least = _SHORT * survey.plan.length
    short = _names(survey, (facts.shape[1] < least for facts in survey.facts))
    if short:
        yield Problem(
            kind="short",
            text=f"{_files(short)} shorter than a quarter of an input, which is then mostly zeros: "
            f"{_named(short)}",
            files=short,
        )


def _pictures(survey: Survey) -> Iterator[Problem]:
    proportions = {round(facts.shape[1] / facts.shape[0], 1) for facts in survey.facts}
    if len(proportions) > 1:
        yield Problem(
            kind="mixed sizes",
            text=f"pictures have {len(proportions)} different proportions; what lies beyond the "
            "middle part is cut off",
        )
    rotated = _names(survey, (facts.is_rotated for facts in survey.facts))
    if rotated:
        yield Problem(
            kind="rotated",
            text=f"{_files(rotated)} rotated by EXIF and will be turned upright: {_named(rotated)}",
            files=rotated,
        )
    odd = _names(survey, (facts.mode not in {"RGB", "L"} for facts in survey.facts))
    if odd:
        modes = sorted({facts.mode for facts in survey.facts} - {"RGB", "L"})
        yield Problem(
            kind="converted",
            text=f"{_files(odd)} in {', '.join(modes)} and will be converted to 8-bit colors: "
            f"{_named(odd)}",
            files=odd,
        )


def _recordings(survey: Survey) -> Iterator[Problem]:
    steps = {
        round(column.step_s, 6)
        for facts in survey.facts
        for column in facts.columns
        if column.step_s > 0
    }
    if len(steps) > 1:
        yield Problem(
            kind="mixed rates",
            text="recordings have different times between their rows: "
            f"{', '.join(f'{step:g} s' for step in sorted(steps))}",
        )
    gaps = _names(survey, (any(c.missing for c in facts.columns) for facts in survey.facts))
    if gaps:
        yield Problem(
            kind="missing values",
            text=f"{len(gaps)} {'file has' if len(gaps) == 1 else 'files have'} missing values "
            "(gaps in channels are interpolated, and at the ends the nearest value is repeated): "
            f"{_named(gaps)}",
            files=gaps,
        )


def _names(survey: Survey, chosen: Iterable[bool]) -> list[str]:
    return [item.name for item, one in zip(survey.items, chosen, strict=True) if one]


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _files(names: "Sequence[str] | Mapping[str, str]") -> str:
    return f"{len(names)} file is" if len(names) == 1 else f"{len(names)} files are"


def _size(facts: Facts) -> str:
    return " x ".join(map(str, facts.shape))


def _most_common(values: Iterable[str], most: int = 5) -> dict[str, int]:
    found = Counter(values)
    shown = dict(found.most_common(most))
    rest = sum(found.values()) - sum(shown.values())
    return shown | ({"others": rest} if rest else {})
