"""The learning benchmark's figures with their goals."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.learning.first_run import FirstRun
from benchmarks.learning.seed_result import SeedResult
from benchmarks.learning.speed import Speeds
from benchmarks.report import Figure, figure

ByTask = Mapping[str, Sequence[SeedResult]]

_LEAST = "least of the tasks' capacities, each a mean over seeds"


def figures(
    found: ByTask, speeds: Mapping[str, Speeds], simulated: Sequence[FirstRun], minutes: float
) -> dict[str, Figure]:
    """All figures, in the order in which the page has them.

    Args:
        found: of every seed.
        speeds: of the first seed's models.
        simulated: of every seed, if the task is among these.
        minutes: that all of it took.
    """
    made: dict[str, Figure] = {}
    if "fashion" in found:
        made |= _fashion(found["fashion"])
    made |= _nesting(found)
    made["int8 minus float32, least"] = figure(
        [_least_mean(_differences(found, "test", "float_test"))],
        "points",
        goal=">= -0.3",
        anchor=_LEAST,
    )
    made |= _bytes(found)
    if "fashion" in speeds:
        floats, integers = list(speeds["fashion"].values())[-1]
        made["int8 speed-up, fashion largest"] = figure([floats / integers], "times", goal=">= 2")
    if domains := [one.domains for one in found.get("wearable", ()) if one.domains]:
        made["domain gap recovered"] = figure([_recovered(domains)], "", goal=">= 0.5")
    if simulated:
        made |= _simulated(simulated)
    made["this benchmark, all in all"] = figure(
        [minutes],
        "min",
        goal="<= 150",
        anchor="each cell as long as it took when it was made, half where two are made at a time",
    )
    return made


def _fashion(seeds: Sequence[SeedResult]) -> dict[str, Figure]:
    rounded = [one.rounded for one in seeds]
    return {
        "fashion teacher": figure([one.teacher["accuracy"] for one in seeds], "%", goal=">= 94.0"),
        "fashion teacher, training": figure(
            [one.teacher["seconds"] / 60 for one in seeds], "min", goal="<= 30"
        ),
        "fashion largest, int8": figure([one["test"][-1] for one in rounded], "%", goal=">= 92.5"),
        "fashion weight store": figure(
            [_store(one) / 1000 for one in rounded], "kB", goal="<= 300"
        ),
        "fashion smallest, int8": figure([one["test"][0] for one in rounded], "%", goal=">= 86.5"),
        "fashion smallest, weights": figure(
            [len(one["ring"][0]) / 1000 for one in rounded], "kB", goal="<= 12"
        ),
    }


def _nesting(found: ByTask) -> dict[str, Figure]:
    by_seed = {
        task: np.array([np.subtract(one.nested, one.alone) for one in seeds])
        for task, seeds in found.items()
    }
    means = np.concatenate([differences.mean(0) for differences in by_seed.values()])
    over_all = np.concatenate(list(by_seed.values()), axis=1).mean(1)  # one for each seed
    return {
        "nested minus alone, mean": figure(over_all.tolist(), "points", goal=">= 0"),
        "nested minus alone, least": figure(
            [float(means.min())], "points", goal=">= -0.3", anchor=_LEAST
        ),
    }


def _differences(found: ByTask, after: str, before: str) -> list[np.ndarray]:
    return [
        np.mean([np.subtract(one.rounded[after], one.rounded[before]) for one in seeds], axis=0)
        for seeds in found.values()
    ]


def _least_mean(differences: Sequence[np.ndarray]) -> float:
    return float(np.concatenate(differences).min())


def _store(content: Mapping[str, Sequence[Sequence[int]]]) -> int:
    return sum(len(ring) for ring in content["ring"])


def _bytes(found: ByTask) -> dict[str, Figure]:
    """Ratios do not depend on the seed."""
    firsts = {task: seeds[0].rounded for task, seeds in found.items()}
    held = {
        task: np.cumsum([len(ring) for ring in content["ring"]]) for task, content in firsts.items()
    }
    made = {
        f"{task} weight store / largest": figure(
            [float(held[task][-1] / content["largest_weights"])], "", goal="<= 1.05"
        )
        for task, content in firsts.items()
    }
    for task, content in firsts.items():
        templates = np.array([len(template) for template in content["template"]])
        shipped, separate = held[task][-1] + templates.sum(), (held[task] + templates).sum()
        made[f"{task} store / separate int8 models"] = figure(
            [float(held[task][-1] / held[task].sum())], "", goal="<= 0.6"
        )
        made[f"{task} store and templates / separate int8 models"] = figure(
            [float(shipped / separate)], ""
        )
    return made


def _recovered(seeds: Sequence[Mapping[str, Sequence[float]]]) -> float:
    """Share of the mean gap between source and target that adapting closed.

    Means are over seeds and capacities: a ratio for each seed would let a small gap decide.
    """
    low, middle, high = (
        np.mean([domains[way] for domains in seeds])
        for way in ("source_only", "adapted", "target_trained")
    )
    return float((middle - low) / (high - low))


def _simulated(runs: Sequence[FirstRun]) -> dict[str, Figure]:
    before = "docs/results/simulate.md before this benchmark"
    return {
        "simulate, first run": figure([one.seconds for one in runs], "s", goal="<= 240"),
        "simulate, device only": figure(
            [one.device_only for one in runs], "%", goal=">= 77.2", anchor=before
        ),
        "simulate, hybrid": figure(
            [one.hybrid for one in runs], "%", goal=">= 81.0", anchor=before
        ),
    }
