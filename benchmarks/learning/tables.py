"""The learning benchmark's tables, from what was found for every task and seed."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmarks.learning.cells import Content
from benchmarks.learning.seed_result import SeedResult
from benchmarks.learning.speed import Speeds
from benchmarks.report import ResultTable, mean_sd

ByTask = Mapping[str, Sequence[SeedResult]]
Rows = list[list[str]]


def tables(
    found: ByTask, speeds: Mapping[str, Speeds], families: Mapping[str, Mapping[str, Speeds]]
) -> list[ResultTable]:
    """All tables, in the order in which the page has them.

    Args:
        found: by task and seed.
        speeds: of the nests in full, by task.
        families: of the other students, by task and family.
    """
    made = [_nested(found), _rounded(found), _aware(found), _bytes(found), _speeds(speeds)]
    made.append(_distilled(found))
    if any(one.domains for one in _all(found)):
        made.append(_domains(found))
    return [*made, _families(found, families)]


def _nested(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        for index in range(len(seeds[0].nested)):
            rows.append(
                [
                    task,
                    str(index + 1),
                    mean_sd(one.nested[index] for one in seeds),
                    mean_sd(one.alone[index] for one in seeds),
                    mean_sd((one.nested[index] - one.alone[index] for one in seeds), sign=True),
                ]
            )
    return ResultTable(
        title="Nested against trained alone",
        header=["task", "capacity", "nested %", "alone %", "difference"],
        rows=rows,
        note="Test accuracy in float32: the nest, and each capacity's network trained by itself "
        "from the same teacher's answers with the same recipe and data, which each capacity sees "
        "as often nested as alone. What capacities share is moved by the steps of all of them, so "
        "a nest takes four times the steps of one network: as many as the four together.",
    )


def _rounded(found: ByTask) -> ResultTable:
    return ResultTable(
        title="float32 against int8",
        header=["task", "capacity", "float32 %", "int8 %", "difference"],
        rows=_against_floats(found, lambda one: [one.rounded]),
        note="The nests in full, test accuracy in onnxruntime. int8 is rounded after training as "
        "the task says.",
    )


def _aware(found: ByTask) -> ResultTable:
    return ResultTable(
        title="Rounding after training against training on the grid",
        header=["task", "capacity", "float32 %", "int8 %", "difference", "int8, QAT %", "diff."],
        rows=_against_floats(found, lambda one: [one.plain, one.aware]),
        note="The nests of the row *logits* below. QAT goes on for two epochs with fake "
        "quantisation before it is rounded; as much training without it gains about as much "
        "(lab log, 2026-11-24).",
    )


def _against_floats(found: ByTask, roundings: Callable[[SeedResult], Sequence[Content]]) -> Rows:
    """For every capacity: float32 accuracy, then each rounding's with the difference."""
    rows: Rows = []
    for task, seeds in found.items():
        by_seed = [roundings(one) for one in seeds]
        for index in range(len(by_seed[0][0]["test"])):
            floats = [first["float_test"][index] for first, *_ in by_seed]
            cells = [
                cell
                for contents in zip(*by_seed, strict=True)
                for cell in _against(floats, [content["test"][index] for content in contents])
            ]
            rows.append([task, str(index + 1), mean_sd(floats), *cells])
    return rows


def _against(floats: Sequence[float], integers: Sequence[float]) -> list[str]:
    differences = [b - a for a, b in zip(floats, integers, strict=True)]
    return [mean_sd(integers), mean_sd(differences, sign=True)]


def _bytes(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, (one, *_) in found.items():
        content, held = one.rounded, 0
        for index, (ring, template, floats) in enumerate(
            zip(content["ring"], content["template"], content["float_model"], strict=True)
        ):
            held += len(ring)
            sizes = (len(ring), held, len(template), held + len(template), len(floats))
            rows.append([task, str(index + 1), *(f"{size / 1000:.1f}" for size in sizes)])
    return ResultTable(
        title="Bytes, kB",
        header=["task", "capacity", "ring", "weights", "template", "int8 file", "float32 file"],
        rows=rows,
        note="A device that holds capacity k has rings 1 to k and one template. An int8 file is "
        "what the capacity would be by itself. Templates are as here without the multiplexer's "
        "layers, which docs/results/routing.md weighs.",
    )


def _speeds(speeds: Mapping[str, Speeds]) -> ResultTable:
    rows = [
        [task, name, f"{floats:.0f}", f"{integers:.0f}", f"{floats / integers:.2f}"]
        for task, timed in speeds.items()
        for name, (floats, integers) in timed.items()
    ]
    return ResultTable(
        title="Latency, microseconds",
        header=["task", "network", "float32 p50", "int8 p50", "ratio"],
        rows=rows,
        note="One input, one thread, onnxruntime, timed in turns in one run. The student of "
        "`fashion` is sized for int8: wide dense layers, some 10 million operations.",
    )


def _distilled(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        teacher = mean_sd(one.teacher["accuracy"] for one in seeds)
        rows.append([task, "the teacher itself", teacher, "", ""])
        for name in seeds[0].distilled:
            by_capacity = np.array([one.distilled[name] for one in seeds])
            means = (by_capacity.mean(1), by_capacity[:, 0], by_capacity[:, -1])
            rows.append([task, name, *map(mean_sd, means)])
    return ResultTable(
        title="Ways to distil",
        header=["task", "learns from", "mean of capacities %", "smallest", "largest"],
        rows=rows,
        note="Test accuracy in float32. Features are of the largest capacity alone; answers teach "
        "all capacities, and *in place* the smaller ones learn from the largest's as well.",
    )


def _domains(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        domains = [one.domains for one in seeds if one.domains]
        for index in range(len(domains[0]["adapted"]) if domains else 0):
            rows.append(
                [
                    task,
                    str(index + 1),
                    *(
                        mean_sd(100 * one[way][index] for one in domains)
                        for way in ("source_only", "adapted", "target_trained")
                    ),
                ]
            )
    return ResultTable(
        title="A domain without labels",
        header=["task", "capacity", "source only %", "adapted %", "target trained %"],
        rows=rows,
        note=DOMAINS,
    )


def _families(found: ByTask, speeds: Mapping[str, Mapping[str, Speeds]]) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        for name, timed in speeds[task].items():
            contents = [one.families[name] for one in seeds]
            held = np.cumsum([len(ring) for ring in contents[0]["ring"]])
            times = list(timed.values())
            for index in (0, len(held) - 1):
                floats, integers = times[index]
                tests = [content["test"][index] for content in contents]
                rows.append(
                    [
                        *(task, name, str(index + 1), mean_sd(tests)),
                        f"{held[index] / 1000:.1f}",
                        f"{len(contents[0]['template'][index]) / 1000:.1f}",
                        *(f"{floats:.0f}", f"{integers:.0f}"),
                    ]
                )
    header = ["task", "blocks", "capacity", "int8 %", "weights kB", "template kB"]
    return ResultTable(
        title="Student families",
        header=[*header, "float32 p50 µs", "int8 p50 µs"],
        rows=rows,
        note="The smallest and the largest capacity of nests of several families, with the recipe "
        "of the ways to distil. They differ in bytes and time as much as in accuracy; a template "
        "is what a device downloads beside the weights.",
    )


DOMAINS = (
    "Accuracy on the target domain in float32. *Source only* learns from the labelled source, "
    "*adapted* from it and from target inputs without labels, *target trained* from the labelled "
    "target alone, teacher and student: about half of the inputs that the adapted one learns from."
)


def _all(found: ByTask) -> list[SeedResult]:
    return [one for seeds in found.values() for one in seeds]
