"""Builds the routing benchmark's tables on target shares and drift detection."""

from collections.abc import Sequence

import numpy as np

from benchmarks.report import ResultTable, mean_sd, result_table
from benchmarks.routing.drift import HARD_INPUTS
from benchmarks.routing.seed_result import ByTask, by_key


def drift_tables(by_task: ByTask) -> list[ResultTable]:
    """Return the tables on the target share while inputs change, and on drift detection."""
    return [_drift(by_task), _detection(by_task)]


def _drift(by_task: ByTask) -> ResultTable:
    return result_table(
        "A target of 20 % while inputs change",
        "task | from the capacity | share | worst window of 500, points off | "
        "offloaded in all % | accuracy %",
        [
            [
                *(task, rule, control),
                mean_sd(run.deviation for run in runs),
                mean_sd(run.share for run in runs),
                mean_sd(run.accuracy for run in runs),
            ]
            for task, rule, by_seed in by_key(by_task, lambda result: result.rules)
            for control, runs in (
                ("controlled over 500 inputs", [result.controlled for result in by_seed]),
                ("fixed thresholds", [result.fixed for result in by_seed]),
            )
        ],
        "`fashion`: 1,500 pictures each of all classes, of the five that the device knows worst, "
        "of the five that it knows best, and of all. `wearable`: the test people's recordings, one "
        "after the other. The accuracies of a pair of rows are at different shares.",
    )


def _detection(by_task: ByTask) -> ResultTable:
    return result_table(
        "Detection of harder inputs",
        "task | from the capacity | drift reported on the test inputs, % | alarms | "
        "inputs until an alarm, hard classes alone",
        [
            [
                *(task, rule),
                mean_sd(result.detection.drifting for result in by_seed),
                mean_sd(result.detection.alarms for result in by_seed),
                _delays([result.detection.delay for result in by_seed]),
            ]
            for task, rule, by_seed in by_key(by_task, lambda result: result.rules)
        ],
        "The device's detector, with the quantiles of the calibration inputs. Test inputs of "
        "`fashion` come in random order, where no alarm is right, and then from the five classes "
        "that the device knows worst. Those of `wearable` are other people, one recording after "
        "the other: an alarm is right where they are harder.",
    )


def _delays(delays: Sequence[float | None]) -> str:
    """Format the mean and the standard deviation of the delays until an alarm.

    The text is "" if no delay is known. If a delay is infinite, the text says that no alarm
    occurred within the hard inputs.

    Args:
        delays: for each seed, the delay in inputs, or None if it was not measured.
    """
    known = [delay for delay in delays if delay is not None]
    if not known:
        return ""
    return mean_sd(known) if np.isfinite(known).all() else f"not within {HARD_INPUTS:,}"
