"""Computes all results of the routing benchmark for one task and one seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from benchmarks.routing.cascade import CascadeResult, cascade_rule, measure_rule
from benchmarks.routing.curves import (
    Doubles,
    FittedRouters,
    accuracies_by_capacity,
    area_differences,
    fit_routers,
)
from benchmarks.routing.drift import DriftDetection, DriftRun, detect_drift, run_drift
from benchmarks.routing.misleading_confidence import CONDITIONS, ConditionResult, run_condition
from benchmarks.routing.seed_models import SeedModels
from nestling.v1.bundle_pb2 import Calibration, RoutingCurve
from nestling_cloud.learning.routing import CascadeRule, Estimator, at_once, calibrate
from nestling_cloud.learning.routing.data import Bools, Floats
from nestling_cloud.learning.routing.rivals import RIVALS

# Capacities that routers are compared from, counted from 0.
STARTS: Mapping[str, int] = {"smallest": 0, "second": 1}
CASCADE = "cascade to the largest"
# Draws under each condition of misleading confidence.
_CONDITION_DRAWS = 2

_Value = TypeVar("_Value")


@dataclass(frozen=True, kw_only=True)
class RuleResult:
    """The results of one rule.

    A rule determines which capacities run: only the smallest, only the second, or a cascade. In the
    cascade, a small capacity runs first, and the largest one runs only if the expected improvement
    is worth the extra run.

    Attributes:
        controlled: the results on a drifting stream with a target window.
        fixed: the results on a drifting stream with fixed thresholds.
        detection: the output of the drift detector.
    """

    controlled: DriftRun
    fixed: DriftRun
    detection: DriftDetection


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """The results of one task and seed.

    The routers are fitted several times, each time on another random part of the calibration inputs
    (a draw). Lists and arrays by capacity begin with the smallest one.

    Attributes:
        models: the models of the task and seed.
        curves: a mapping from the name of a router to its accuracies at `SHARES` in %, (draws, K,
            shares).
        area_differences: a mapping from the name of a rival to the differences between our router's
            area and the rival's, as one array (RESAMPLES,) for each of `STARTS`. Each difference is
            for one resample of the test inputs, averaged over the draws.
        at_once: a mapping from each of `STARTS` to the results of running only that capacity, one
            for each draw.
        calibration_errors: a mapping from the description of a predicted probability to its
            expected calibration error, in percentage points.
        rules: a mapping from the name of a rule to its results for the router of the first draw.
        cascades: a mapping from "second" and "largest" to the results of the cascade to that
            capacity, one for each draw.
        conditions: a mapping from the name of a condition (see `misleading_confidence`) to its
            results, one for each of the first two draws.
        multiplexer: the multiplexer of the first draw.
    """

    models: SeedModels
    curves: Mapping[str, Doubles]
    area_differences: Mapping[str, list[Doubles]]
    at_once: Mapping[str, list[CascadeResult]]
    calibration_errors: Mapping[str, float]
    rules: Mapping[str, RuleResult]
    cascades: Mapping[str, list[CascadeResult]]
    conditions: Mapping[str, list[ConditionResult]]
    multiplexer: Estimator

    @property
    def device(self) -> Doubles:
        """The accuracy of each capacity if it answers every input, (K,), %."""
        accuracy: Doubles = 100 * self.models.test.right[:, :-1].mean(axis=0)
        return accuracy

    @property
    def cloud(self) -> float:
        """The accuracy of the teacher, %."""
        return float(100 * self.models.test.right[:, -1].mean())

    def accuracy(self, router: str, index: int, share: float) -> float:
        """Return the mean accuracy of a router over draws, %.

        Args:
            router: the name of the router.
            index: the capacity, from 0.
            share: the share of inputs that is sent to the cloud, 0 to 0.5.
        """
        return float(self.curves[router][:, index, round(share * 100)].mean())

    def recovered(self, accuracy: float, index: int) -> float:
        """Return how much of the accuracy gap between a capacity and the cloud is closed, %.

        Args:
            accuracy: the accuracy of the router, %.
            index: the capacity, from 0.
        """
        device = float(self.device[index])
        return 100 * (accuracy - device) / (self.cloud - device)


# Results of all seeds by task.
ByTask = Mapping[str, Sequence[SeedResult]]


def by_key(
    by_task: ByTask, mapping: Callable[[SeedResult], Mapping[str, _Value]]
) -> Iterator[tuple[str, str, list[_Value]]]:
    """Yield, for each task and each key, the task, the key and the values of all seeds.

    Args:
        by_task: a mapping from task to the results of its seeds.
        mapping: a function that returns the mapping of one result. All results of a task have the
            same keys.
    """
    for task, results in by_task.items():
        for key in mapping(results[0]):
            yield task, key, [mapping(result)[key] for result in results]


def run_seed(models: SeedModels, draws: int) -> SeedResult:
    """Fit the routers several times, and return their results on the test inputs.

    Each fit uses another random part of the calibration inputs.

    Args:
        models: the models of the task and seed.
        draws: the number of times that the routers are fitted.
    """
    by_draw = [fit_routers(models, draw) for draw in range(draws)]
    first, right = by_draw[0], models.test.right
    calibration = calibrate(first.multiplexer, first.fitted, first.held_out, models.macs[:-1])
    rules = {start: at_once(index + 1) for start, index in STARTS.items()}
    rules[CASCADE] = cascade_rule(first, models.test.capacities)
    return SeedResult(
        models=models,
        curves={
            name: np.array(
                [accuracies_by_capacity(right, routers.urgencies[name]) for routers in by_draw]
            )
            for name in first.urgencies
        },
        area_differences={
            rival.name: [
                np.mean(
                    [area_differences(routers, rival.name, index) for routers in by_draw], axis=0
                )
                for index in STARTS.values()
            ]
            for rival in RIVALS
            if rival.name != "oracle"
        },
        at_once={
            start: [measure_rule(routers, at_once(index + 1)) for routers in by_draw]
            for start, index in STARTS.items()
        },
        calibration_errors=_calibration_errors(first),
        rules={
            name: _run_rule(first, rule, _curve(calibration, rule)) for name, rule in rules.items()
        },
        cascades={
            name: [measure_rule(routers, cascade_rule(routers, top)) for routers in by_draw]
            for name, top in (("second", 2), ("largest", models.test.capacities))
        },
        conditions={
            condition: [
                run_condition(models, draw, condition)
                for draw in range(min(draws, _CONDITION_DRAWS))
            ]
            for condition in CONDITIONS
        },
        multiplexer=first.multiplexer,
    )


def _run_rule(routers: FittedRouters, rule: CascadeRule, curve: RoutingCurve) -> RuleResult:
    controlled, fixed = run_drift(routers, rule, curve)
    return RuleResult(
        controlled=controlled,
        fixed=fixed,
        detection=detect_drift(routers, rule, curve),
    )


def _curve(calibration: Calibration, rule: CascadeRule) -> RoutingCurve:
    if rule.start == rule.top:
        return calibration.curves[rule.top - 1]
    return calibration.cascades[rule.top - 1].curve


def _calibration_errors(routers: FittedRouters) -> dict[str, float]:
    right = routers.models.test.right
    options = [*(f"capacity {k}" for k in range(1, right.shape[1])), "cloud"]
    return {
        f"after capacity {index + 1} ran: {options[i]}": _calibration_error(
            predictions[:, i], right[:, i]
        )
        for index, predictions in enumerate(routers.predictions["test"])
        for i in range(index, len(options))
    }


def _calibration_error(predicted: Floats, right: Bools) -> float:
    """Return the expected calibration error (Naeini et al. 2015), in percentage points.

    The predictions are sorted into ten bins of equal size. The error is the mean over the bins of
    the absolute difference between the mean prediction and the share of right answers.

    Args:
        predicted: the predicted probability of being right, (N,).
        right: whether the answer is right, (N,).
    """
    bins = np.array_split(np.argsort(predicted, kind="stable"), 10)
    gaps = [abs(predicted[b].mean() - right[b].mean()) * len(b) for b in bins if len(b)]
    return float(100 * sum(gaps) / len(predicted))


def interval(differences: Sequence[Doubles]) -> tuple[float, float, float]:
    """Return the mean, and the 2.5 % and 97.5 % quantiles, of the differences of all seeds.

    Args:
        differences: for each seed, the differences of all resamples.
    """
    values = np.concatenate(differences)
    low, high = np.quantile(values, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)
