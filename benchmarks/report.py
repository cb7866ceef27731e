"""Parses the options of a benchmark, and writes its results.

Results are written as a JSON file, a Markdown page and charts, and printed as a table.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
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
# A function that draws a chart from the content of a result file.
Chart = Callable[[Mapping[str, Any]], Picture]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure.

    Attributes:
        value: the mean over seeds, or over other repetitions of the measurement.
        spread: the standard deviation over the same repetitions, or None for a single value.
        unit: the unit of value and spread, or "" if they have none.
        goal: an operator and a number, such as ">= 2", or None.
        holds: whether the value meets the goal, or None without a goal.
        anchor: the source of the goal, or a figure to compare with; "" without either.
    """

    value: float
    spread: float | None
    unit: str
    goal: str | None = None
    holds: bool | None = None
    anchor: str = ""


@dataclass(frozen=True, kw_only=True)
class ResultTable:
    """A table on the result page, below the figures.

    Attributes:
        title: the heading of the table.
        header: the column headings.
        rows: the formatted cells of each row.
        note: Markdown text that says how to read the table, or "".
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str


def figure(
    values: Sequence[float], unit: str = "", *, goal: str | None = None, anchor: str = ""
) -> Figure:
    """Return the mean and the spread of a figure's values, and whether the mean meets the goal.

    Args:
        values: one value for each seed, or for each other repetition of the measurement.
        unit: the unit of the values, or "" if they have none.
        goal: an operator and a number that the mean is compared with, such as ">= 2", or None.
        anchor: the source of the goal, or a figure to compare with.
    """
    value = float(np.mean(values))
    summary = Figure(
        value=value,
        spread=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        unit=unit,
        goal=goal,
        anchor=anchor,
    )
    if goal is None:
        return summary
    operator, _, number = goal.partition(" ")
    return replace(summary, holds=bool(_COMPARE[operator](value, float(number))))


def result_table(
    title: str, header: str, rows: Sequence[Sequence[str]], note: str = ""
) -> ResultTable:
    """Return a table of the result page.

    Args:
        title: the heading of the table.
        header: the column headings, separated by " | ".
        rows: the formatted cells of each row.
        note: Markdown text that says how to read the table.
    """
    return ResultTable(title=title, header=header.split(" | "), rows=rows, note=note)


def mean_sd(values: Iterable[float], *, sign: bool = False) -> str:
    """Format the mean and the standard deviation of a figure over seeds.

    Args:
        values: one value for each seed.
        sign: whether a positive mean is written with its sign.

    Returns:
        The mean and the deviation, only the mean if there is a single value, or "none" if there is
        no value.
    """
    numbers = np.array(list(values), np.float64)
    if not len(numbers):
        return "none"
    mean = f"{numbers.mean():+.2f}" if sign else f"{numbers.mean():.2f}"
    return f"{mean} ± {numbers.std(ddof=1):.2f}" if len(numbers) > 1 else mean


def log_elapsed(started: float, text: str) -> None:
    """Write a line of text to standard error, preceded by the minutes since the start.

    Args:
        started: the time of the start, as `time.monotonic` returned it.
        text: the text of the line.
    """
    print(f"{(time.monotonic() - started) / 60:5.1f} min  {text}", file=sys.stderr, flush=True)


def parse_arguments(
    description: str, *, seeds: int, first_seed: int = 0, tasks: Sequence[str] = ()
) -> argparse.Namespace:
    """Return the options of a benchmark's command line.

    Only benchmarks with several tasks have the option `--task`. All other options are the same for
    every benchmark.

    Args:
        description: the help text.
        seeds: the number of seeds by default.
        first_seed: the first seed.
        tasks: the names of all tasks, for a benchmark that has several.

    Returns:
        The options. `seeds` is the range of seeds (a quick run has only the first), and `tasks`
        lists the tasks to run. `commit` is the checked-out commit, which is determined here because
        it may change while a benchmark runs.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="run one seed, for a first look")
    parser.add_argument(
        "--seeds", type=int, default=seeds, help="number of seeds (default: %(default)s)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="PATH", help="result file (default: docs/results/NAME.json)"
    )
    if tasks:
        parser.add_argument("--task", choices=tasks, help="run only this task (default: all)")
    options = parser.parse_args()
    options.seeds = range(first_seed, first_seed + (1 if options.quick else options.seeds))
    options.tasks = [name for name in tasks if options.task in {None, name}]
    options.commit = _commit()
    return options


def publish(
    name: str,
    options: argparse.Namespace,
    figures: Mapping[str, Figure],
    tables: Sequence[ResultTable] = (),
    *,
    title: str,
    note: str,
    charts: Mapping[str, Chart],
) -> None:
    """Print the figures, and write the result file, the page and the charts into one folder.

    Args:
        name: the name of the benchmark.
        options: the options as `parse_arguments` returns them.
        figures: a mapping from the name of a figure to the figure, in the order of the page.
        tables: the tables in the order of the page.
        title: the heading of the page.
        note: Markdown text that says what was run and how to read the results.
        charts: a mapping from the suffix of a chart's file name to the function that draws the
            chart.
    """
    content = {
        "name": name,
        "commit": options.commit,
        "machine": _machine(),
        "seeds": list(options.seeds),
        "quick": options.quick,
        "figures": {key: asdict(value) for key, value in figures.items()},
        "tables": [asdict(table) for table in tables],
    }
    path = options.json or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    Console().print(_table(content))
    files = []
    for suffix, draw in charts.items():
        files.append(f"{path.stem}-{suffix}.svg")
        path.with_name(files[-1]).write_text(as_svg(draw(content)), "utf-8")
    path.with_suffix(".md").write_text(_page(content, title, note, files), "utf-8")


def _figure_rows(content: Mapping[str, Any]) -> list[list[str]]:
    return [
        [key, _value(entry), entry["goal"] or "", _holds(entry), entry["anchor"]]
        for key, entry in content["figures"].items()
    ]


def _table(content: Mapping[str, Any]) -> Table:
    table = Table(title=f"{content['name']}, seeds {content['seeds']}, {content['machine']}")
    for heading in ("figure", "value", "goal", "holds"):
        table.add_column(heading)
    for row in _figure_rows(content):
        table.add_row(*row[:4])
    return table


def _page(content: Mapping[str, Any], title: str, note: str, charts: Sequence[str]) -> str:
    seeds = ", ".join(map(str, content["seeds"]))
    quick = "; a quick run" if content["quick"] else ""
    header = ["figure", "mean ± s.d.", "goal", "holds", "compared with"]
    lines = [
        *(f"# {title}", "", note.strip(), ""),
        f"Seeds {seeds}; {content['machine']}; commit `{content['commit']}`{quick}.",
        *(f"Written by `make bench-{content['name']}`.", ""),
        *(f"![{chart}]({chart})" for chart in charts),
        *("", *_markdown_table(header, _figure_rows(content))),
    ]
    for table in content["tables"]:
        lines += ["", f"## {table['title']}", ""]
        lines += [table["note"].strip(), ""] if table["note"] else []
        lines += _markdown_table(table["header"], table["rows"])
    return "\n".join(lines) + "\n"


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
    return [lines[0], "|" + "---|" * len(header), *lines[1:]]


def _value(entry: Mapping[str, Any]) -> str:
    spread = "" if entry["spread"] is None else f" ± {entry['spread']:.3g}"
    return f"{entry['value']:.4g}{spread} {entry['unit']}".strip()


def _holds(entry: Mapping[str, Any]) -> str:
    return {None: "", True: "yes", False: "no"}[entry["holds"]]


def _commit() -> str:
    """Return the commit, marked as dirty if a tracked file outside docs/results has changed."""
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
