"""Builds the tables of the benchmark of tasks."""

from collections.abc import Callable, Sequence

from benchmarks.report import ResultTable, mean_sd, result_table
from benchmarks.tasks.results import Results, TaskResult
from benchmarks.tasks.routed import TARGETS, Quality


def tables(results: Results) -> list[ResultTable]:
    """Return the tables of the parts that were run, in the order of the page."""
    found = []
    if results.tasks:
        found.append(_capacities(results))
    compared = {name: seeds for name, seeds in results.tasks.items() if seeds[0].margins}
    if compared:
        rows = [row for name, seeds in compared.items() for row in _margin_rows(name, seeds)]
        found.append(
            result_table(
                "Hybrid against margin at the same share",
                "task | capacity | way | " + " | ".join(f"{share:.0%}" for share in TARGETS),
                rows,
                "Accuracy of the rule that the bundle ships minus that of margin, in points, on "
                "test inputs, each sending exactly the share.",
            )
        )
    return found


def _capacities(results: Results) -> ResultTable:
    rows = []
    for name, seeds in results.tasks.items():
        for place, size in enumerate(seeds[0].learned.weights_bytes):
            rows.append(
                [
                    name,
                    f"{place + 1}",
                    f"{size / 1000:.1f}",
                    *_columns(seeds, lambda one, place=place: one.routed.device[place]),  # type: ignore[misc]
                    *_columns(seeds, lambda one, place=place: one.routed.routed[place])[:2],  # type: ignore[misc]
                ]
            )
        rows.append([name, "cloud", "", *_columns(seeds, lambda one: one.routed.cloud), "", ""])
    return result_table(
        "Device, cloud, and both",
        "task | capacity | kB | right % | F1 % | false alarms % | error "
        "| routed at 10 %, right % | routed at 10 %, F1 %",
        rows,
        "Test inputs, int8 students. *Right* is the share of answers that succeed: the class, an "
        "estimate within the tolerance, or the right decision about an anomaly.",
    )


def _columns(seeds: Sequence[TaskResult], part: Callable[[TaskResult], Quality]) -> list[str]:
    found = [part(one) for one in seeds]
    columns = [[one.success for one in found]]
    for name in ("f1", "false_alarms", "error"):
        values = [getattr(one, name) for one in found]
        columns.append([value for value in values if value is not None])
    return [mean_sd(values) if values else "" for values in columns]


def _margin_rows(name: str, seeds: Sequence[TaskResult]) -> list[list[str]]:
    rows = []
    margins = [one.margins for one in seeds if one.margins is not None]
    for start in margins[0]:
        ways = sorted({way for one in margins for way in one[start]}, reverse=True)
        for way in ways:
            having = [one[start][way] for one in margins if way in one[start]]
            cells = [mean_sd([one[share] for one in having], sign=True) for share in TARGETS]
            rows.append([name, start, way, *cells])
    return rows
