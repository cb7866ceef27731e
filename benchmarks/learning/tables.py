"""Builds the tables of the learning benchmark."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.learning.cells import Content
from benchmarks.learning.domains import STUDENTS
from benchmarks.learning.rounding import byte_counts
from benchmarks.learning.seed_result import ByTask, SeedResult
from benchmarks.learning.speed import Latencies
from benchmarks.report import ResultTable, mean_sd, result_table


def tables(
    by_task: ByTask,
    latencies: Mapping[str, Latencies],
    family_latencies: Mapping[str, Mapping[str, Latencies]],
) -> list[ResultTable]:
    """Return all tables in the order of the page.

    Args:
        by_task: a mapping from task to the results of its seeds.
        latencies: a mapping from task to the latencies of the full nest.
        family_latencies: for each task, a mapping from student family to the latencies of its nest.
    """
    domains = any(result.domains for results in by_task.values() for result in results)
    return [
        _nested(by_task),
        _rounded(by_task),
        _aware(by_task),
        _sizes(by_task),
        _latencies(latencies),
        _distilled(by_task),
        *([_domains(by_task)] if domains else []),
        _families(by_task, family_latencies),
    ]


def _capacity_rows(
    by_task: ByTask, columns: Callable[[Sequence[SeedResult]], Sequence[Sequence[str]]]
) -> list[list[str]]:
    """Return a row for each task and capacity.

    Args:
        by_task: a mapping from task to the results of its seeds.
        columns: a function that is called with the results of all seeds of a task. It returns the
            columns, and each column has one cell per capacity.
    """
    return [
        [task, str(capacity), *cells]
        for task, results in by_task.items()
        for capacity, cells in enumerate(zip(*columns(results), strict=True), start=1)
    ]


def _mean_column(values: ArrayLike, *, sign: bool = False) -> list[str]:
    """Return a column with the mean over seeds for each capacity.

    Args:
        values: the values, (seeds, K).
        sign: whether positive means are written with their sign.
    """
    return [mean_sd(over_seeds, sign=sign) for over_seeds in np.transpose(values)]


def _column_with_difference(values: ArrayLike, baseline: ArrayLike) -> list[list[str]]:
    """Return a column of means over seeds, and a column of their differences from a baseline.

    Args:
        values: the values, (seeds, K).
        baseline: the values of the baseline, (seeds, K).
    """
    return [_mean_column(values), _mean_column(np.subtract(values, baseline), sign=True)]


def _nested(by_task: ByTask) -> ResultTable:
    def columns(results: Sequence[SeedResult]) -> list[list[str]]:
        alone = [result.alone for result in results]
        nested, difference = _column_with_difference([result.nested for result in results], alone)
        return [nested, _mean_column(alone), difference]

    return result_table(
        "Nested against trained alone",
        "task | capacity | nested % | alone % | difference",
        _capacity_rows(by_task, columns),
        "Test accuracy in float32 of the nest, and of each capacity's network trained alone from "
        "the same teacher's logits with the same recipe and data. Each capacity sees the data as "
        "often nested as alone. Shared weights are updated by the steps of all capacities, so a "
        "nest takes four times the steps of one network: as many as the four together.",
    )


def _rounded(by_task: ByTask) -> ResultTable:
    return result_table(
        "float32 against int8",
        "task | capacity | float32 % | int8 % | difference",
        _capacity_rows(by_task, lambda results: _int8_columns([r.rounded for r in results])),
        "The full nests, test accuracy in onnxruntime. int8 is rounded after training, with the "
        "task's own quantization.",
    )


def _aware(by_task: ByTask) -> ResultTable:
    return result_table(
        "Rounding after training against quantization-aware training",
        "task | capacity | float32 % | int8 % | difference | int8, QAT % | diff.",
        _capacity_rows(
            by_task,
            lambda results: _int8_columns([r.plain for r in results], [r.aware for r in results]),
        ),
        "The nests of the row *logits* below. Quantization-aware training (QAT) continues for two "
        "epochs with fake quantization before rounding; as much training without it gains about as "
        "much (lab log, 2026-11-24).",
    )


def _int8_columns(*quantized: Sequence[Content]) -> list[list[str]]:
    """Return a column of float32 accuracies, followed by two columns for each quantization.

    The two columns are the int8 accuracies and their differences from the float32 accuracies.

    Args:
        *quantized: for each quantization, the cells of all seeds.
    """
    floats = [content["float_test"] for content in quantized[0]]
    return [
        _mean_column(floats),
        *(
            column
            for contents in quantized
            for column in _column_with_difference([c["test"] for c in contents], floats)
        ),
    ]


def _sizes(by_task: ByTask) -> ResultTable:
    def columns(results: Sequence[SeedResult]) -> list[list[str]]:
        content = results[0].rounded
        ring, template, floats = (
            byte_counts(content, name) for name in ("ring", "template", "float_model")
        )
        weights = ring.cumsum()
        sizes = (ring, weights, template, weights + template, floats)
        return [[f"{size / 1000:.1f}" for size in by_capacity] for by_capacity in sizes]

    return result_table(
        "Sizes, kB",
        "task | capacity | ring | weights | template | int8 file | float32 file",
        _capacity_rows(by_task, columns),
        "A device that holds capacity k has rings 1 to k and one template. An int8 file is the "
        "capacity by itself. Templates are without the multiplexer's layers; "
        "docs/results/routing.md has the sizes of these.",
    )


def _latencies(latencies: Mapping[str, Latencies]) -> ResultTable:
    return result_table(
        "Latency, microseconds",
        "task | network | float32 p50 | int8 p50 | ratio",
        [
            [task, f"capacity {k}", f"{floats:.0f}", f"{integers:.0f}", f"{floats / integers:.2f}"]
            for task, times in latencies.items()
            for k, (floats, integers) in enumerate(times, start=1)
        ],
        "One input, one thread, onnxruntime, timed alternately in one run. The student of "
        "`fashion` is sized for int8: wide dense layers, some 10 million operations.",
    )


def _distilled(by_task: ByTask) -> ResultTable:
    rows: list[list[str]] = []
    for task, results in by_task.items():
        teacher = mean_sd(result.teacher["accuracy"] for result in results)
        rows.append([task, "the teacher", teacher, "", ""])
        for name in results[0].distilled:
            accuracies = np.array([result.distilled[name] for result in results])  # (seeds, K)
            means = (accuracies.mean(1), accuracies[:, 0], accuracies[:, -1])
            rows.append([task, name, *map(mean_sd, means)])
    return result_table(
        "Distillation variants",
        "task | learns from | mean of capacities % | smallest | largest",
        rows,
        "Test accuracy in float32. Feature losses apply to the largest capacity alone. Logits "
        "teach all capacities; *in place*, the smaller ones also learn from the largest one's.",
    )


def _domains(by_task: ByTask) -> ResultTable:
    def columns(results: Sequence[SeedResult]) -> list[list[str]]:
        domains = [result.domains for result in results if result.domains]
        return [
            _mean_column([np.multiply(100, content[student]) for content in domains])
            for student in STUDENTS
        ]

    return result_table(
        "Adaptation to a domain without labels",
        "task | capacity | source only % | adapted % | target trained %",
        _capacity_rows(by_task, columns),
        "Accuracy on the target domain in float32. *Source only* learns from the labeled source, "
        "*adapted* from the source and from target inputs without labels, *target trained* from "
        "the labeled target alone, teacher and student: about half of the inputs that the adapted "
        "one learns from.",
    )


def _families(by_task: ByTask, latencies: Mapping[str, Mapping[str, Latencies]]) -> ResultTable:
    rows: list[list[str]] = []
    for task, results in by_task.items():
        for name, times in latencies[task].items():
            contents = [result.families[name] for result in results]
            weights = byte_counts(contents[0], "ring").cumsum()
            for index in (0, len(weights) - 1):
                accuracy = mean_sd(content["test"][index] for content in contents)
                sizes = (weights[index], byte_counts(contents[0], "template")[index])
                rows.append(
                    [
                        *(task, name, str(index + 1), accuracy),
                        *(f"{size / 1000:.1f}" for size in sizes),
                        *(f"{time:.0f}" for time in times[index]),
                    ]
                )
    return result_table(
        "Student families",
        "task | blocks | capacity | int8 % | weights kB | template kB | "
        "float32 p50 µs | int8 p50 µs",
        rows,
        "The smallest and the largest capacity of nests of several families, with the recipe of "
        "the distillation variants. They differ in bytes and time as much as in accuracy; a "
        "template is what a device downloads beside the weights.",
    )
