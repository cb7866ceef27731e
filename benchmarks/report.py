"""What every benchmark prints and writes: figures with goals, as JSON, a table and pictures."""

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Picture
from rich.console import Console
from rich.table import Table

from nestling_sim.report import as_svg

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": lambda value, goal: value >= goal,
    ">": lambda value, goal: value > goal,
    "<=": lambda value, goal: value <= goal,
    "==": lambda value, goal: value == goal,
}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure.

    Attributes:
        value: mean over seeds.
        spread: standard deviation over seeds, None for a single one.
        unit: of value and spread.
        goal: an operator and a number, such as ">= 2", or None where there is none.
        holds: whether the value meets the goal; None without one.
        anchor: where the goal, or the figure to compare with, comes from.
    """

    value: float
    spread: float | None
    unit: str
    goal: str | None = None
    holds: bool | None = None
    anchor: str = ""


@dataclass(frozen=True, kw_only=True)
class ResultTable:
    """A table beside the figures: what they were summed up from.

    Attributes:
        title: heading.
        header: of the columns.
        rows: cells as a reader sees them.
        note: how to read it, Markdown.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that a benchmark found."""

    name: str
    commit: str
    machine: str
    seeds: Sequence[int]
    quick: bool
    figures: Mapping[str, Figure]
    tables: Sequence[ResultTable] = ()


def figure(
    values: Sequence[float], unit: str, *, goal: str | None = None, anchor: str = ""
) -> Figure:
    """Sum up one figure over seeds and hold its mean against the goal."""
    value = float(np.mean(values))
    made = Figure(
        value=value,
        spread=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        unit=unit,
        goal=goal,
        anchor=anchor,
    )
    if goal is None:
        return made
    operator, _, number = goal.partition(" ")
    return replace(made, holds=bool(_COMPARE[operator](value, float(number))))


def mean_sd(values: Iterable[float], *, sign: bool = False) -> str:
    """Mean and standard deviation of a figure over seeds, for a reader."""
    numbers = np.array(list(values), np.float64)
    if not len(numbers):
        return "none"
    mean = f"{numbers.mean():+.2f}" if sign else f"{numbers.mean():.2f}"
    return f"{mean} ± {numbers.std(ddof=1):.2f}" if len(numbers) > 1 else mean


def parse_arguments(
    description: str, *, seeds: int, tasks: Sequence[str] = ()
) -> argparse.Namespace:
    """Read the options that all benchmarks share, and `--task` where there are several.

    `commit` is added to them: what is checked out now, not when hours later all is done.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="one seed, for a first look")
    parser.add_argument("--seeds", type=int, default=seeds, help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write results there instead")
    if tasks:
        parser.add_argument("--task", choices=tasks, help="only this one (default: all)")
    options = parser.parse_args()
    options.commit = _commit()
    return options


def results(
    name: str,
    options: argparse.Namespace,
    figures: Mapping[str, Figure],
    tables: Sequence[ResultTable] = (),
) -> Results:
    """Add to figures what they were measured with."""
    return Results(
        name=name,
        commit=options.commit,
        machine=_machine(),
        seeds=list(seed_range(options)),
        quick=options.quick,
        figures=figures,
        tables=tables,
    )


def seed_range(options: argparse.Namespace) -> range:
    """Seeds to run: 0, 1, ..."""
    return range(1 if options.quick else options.seeds)


def publish(
    found: Results,
    target: Path | None,
    *,
    title: str,
    note: str,
    pictures: Mapping[str, Callable[[Mapping[str, Any]], Picture]],
) -> None:
    """Print a table; write the JSON, and beside it page and pictures made from that file.

    Args:
        found: the results.
        target: where the JSON goes; None takes `docs/results/NAME.json`.
        title: heading of the page.
        note: what was run and how to read it, Markdown.
        pictures: by file name's end, functions of the JSON's content.
    """
    path = target or RESULTS / f"{found.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(found), indent=2) + "\n", "utf-8")
    content = json.loads(path.read_text("utf-8"))
    Console().print(_table(content))
    names = []
    for end, draw in pictures.items():
        names.append(f"{path.stem}-{end}.svg")
        path.with_name(names[-1]).write_text(as_svg(draw(content)), "utf-8")
    path.with_suffix(".md").write_text(_page(content, title, note, names), "utf-8")


def _table(content: Mapping[str, Any]) -> Table:
    table = Table(title=f"{content['name']}, seeds {content['seeds']}, {content['machine']}")
    for heading in ("figure", "value", "goal", "holds"):
        table.add_column(heading)
    for key, entry in content["figures"].items():
        table.add_row(key, _value(entry), entry["goal"] or "", _holds(entry))
    return table


def _page(content: Mapping[str, Any], title: str, note: str, pictures: Sequence[str]) -> str:
    rows = [
        f"| {key} | {_value(entry)} | {entry['goal'] or ''} | {_holds(entry)} | {entry['anchor']} |"
        for key, entry in content["figures"].items()
    ]
    seeds = ", ".join(map(str, content["seeds"]))
    quick = "; a quick run" if content["quick"] else ""
    lines = [
        f"# {title}",
        "",
        note.strip(),
        "",
        f"Seeds {seeds}; {content['machine']}; commit `{content['commit']}`{quick}.",
        f"Written by `make bench-{content['name']}`.",
        "",
        *(f"![{picture}]({picture})" for picture in pictures),
        "",
        "| figure | mean ± s.d. | goal | holds | compared with |",
        "|---|---|---|---|---|",
        *rows,
        *(line for table in content["tables"] for line in _markdown_table(table)),
    ]
    return "\n".join(lines) + "\n"


def _markdown_table(content: Mapping[str, Any]) -> list[str]:
    header = content["header"]
    return [
        "",
        f"## {content['title']}",
        "",
        *([content["note"].strip(), ""] if content["note"] else []),
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
        *("| " + " | ".join(row) + " |" for row in content["rows"]),
    ]


def _value(entry: Mapping[str, Any]) -> str:
    spread = "" if entry["spread"] is None else f" ± {entry['spread']:.3g}"
    return f"{entry['value']:.4g}{spread} {entry['unit']}".strip()


def _holds(entry: Mapping[str, Any]) -> str:
    return {None: "", True: "yes", False: "no"}[entry["holds"]]


def _commit() -> str:
    """The commit measured, marked where the tree had changes beyond the results themselves."""
    described = _git("describe", "--always", "--abbrev=12")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/results")
    return described + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _machine() -> str:
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{len(os.sched_getaffinity(0))} cores of {model}"
