"""The routing benchmark's tables of what a bundle keeps: guarantees, a target, a warning."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.report import ResultTable, mean_sd
from benchmarks.routing.drift_detection import STRETCH
from benchmarks.routing.guarantee import SPLITS
from benchmarks.routing.seed_result import SeedResult
from nestling_cloud.learning.routing import DELTA

ByTask = Mapping[str, Sequence[SeedResult]]
Rows = list[list[str]]


def guarantee_tables(found: ByTask) -> list[ResultTable]:
    """Guarantees over many draws and as shipped, a target while inputs change, drift."""
    return [_guarantees(found), _shipped(found), _drift(found), _noticed(found)]


def _guarantees(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        for place in seeds[0].kept:
            for number, first in enumerate(seeds[0].kept[place]):
                same = [one.kept[place][number] for one in seeds]
                rows.append(
                    [
                        task,
                        place,
                        f"{100 * first.risk:g}",
                        mean_sd(100 * k.guaranteed for k in same),
                        mean_sd(100 * k.broken for k in same),
                        mean_sd(k.offloaded for k in same if k.guaranteed),
                    ]
                )
    return ResultTable(
        title="Guarantees over many draws",
        header=[
            "task",
            "from the capacity",
            "tolerated disagreement %",
            "guaranteed in % of draws",
            "broken in % of draws",
            "offloaded %",
        ],
        rows=rows,
        note=f"{SPLITS} times the inputs that the router was not fitted on are dealt into as many "
        "as a bundle certifies on and the others, where the guarantee is checked. "
        f"In at most {100 * DELTA:.0f} % of the draws may a guarantee be broken. Windows of one "
        "recording are alike, so the draws of `wearable` are easier than other people would be.",
    )


def _shipped(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        for place in seeds[0].shipped:
            for one in seeds:
                for kept in one.shipped[place]:
                    rows.append(
                        [
                            task,
                            str(one.world.seed),
                            place,
                            f"{100 * kept.risk:g}",
                            f"{kept.disagreement:.2f}",
                            f"{kept.offloaded:.1f}",
                        ]
                    )
    return ResultTable(
        title="Guarantees as a bundle ships them",
        header=[
            "task",
            "seed",
            "from the capacity",
            "tolerated disagreement %",
            "disagreement on test inputs %",
            "offloaded %",
        ],
        rows=rows,
        note="Certified on calibration inputs, held against the test inputs. Those of `wearable` "
        "are other people: the guarantee holds for inputs like those that it was certified on, and "
        "says nothing of them. A risk that is missing could not be certified.",
    )


def _drift(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        for place in seeds[0].drifted:
            for number, way in enumerate(("kept over 500 inputs", "thresholds as they are")):
                runs = [one.drifted[place][number] for one in seeds]
                rows.append(
                    [
                        task,
                        place,
                        way,
                        mean_sd(run.worst for run in runs),
                        mean_sd(run.share for run in runs),
                        mean_sd(run.accuracy for run in runs),
                    ]
                )
    return ResultTable(
        title="A target of 20 % while inputs change",
        header=[
            "task",
            "from the capacity",
            "share",
            "worst window of 500, points off",
            "offloaded in all %",
            "accuracy %",
        ],
        rows=rows,
        note="`fashion`: 1,500 pictures each of all classes, of the five that the device knows "
        "worst, of the five that it knows best, of all. `wearable`: the test people's recordings, "
        "one after the other. The accuracies of a pair of rows are at different shares.",
    )


def _noticed(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        for place in seeds[0].noticed:
            same = [one.noticed[place] for one in seeds]
            delays = [one.after for one in same if one.after is not None]
            rows.append(
                [
                    task,
                    place,
                    mean_sd(one.usual for one in same),
                    mean_sd(one.alarms for one in same),
                    _delays(delays),
                ]
            )
    return ResultTable(
        title="Harder inputs are noticed",
        header=[
            "task",
            "from the capacity",
            "drift is said of the test inputs, %",
            "said again, times",
            "of hard classes alone, after inputs",
        ],
        rows=rows,
        note="The device's detector, with the quantiles of the calibration inputs. Test inputs of "
        "`fashion` in random order, none of which should be an alarm, and then the five classes "
        "that the device knows worst. Those of `wearable` are other people, one recording after "
        "the other: what is said of them is said rightly where they are harder.",
    )


def _delays(found: Sequence[float]) -> str:
    """A stretch without an alarm has no mean."""
    if not found:
        return ""
    return mean_sd(found) if np.isfinite(found).all() else f"not within {STRETCH:,}"
