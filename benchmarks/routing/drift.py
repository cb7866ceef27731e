"""Runs the device's own target controller and drift detector on inputs that drift.

Inputs drift if they become harder or easier than the inputs that the router was calibrated on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.curves import FittedRouters
from benchmarks.routing.seed_models import SeedModels
from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import RoutingCurve
from nestling_cloud.learning.routing import CascadeRule, Gains, gains, of_answering_capacity
from nestling_device.inference import policy
from nestling_device.inference.drift import DriftDetector, rank_of
from nestling_device.inference.target_controller import InputCost, TargetController, target_of

_TARGET = 0.2
_WINDOW = 500
# Number of hard inputs that the detector sees.
HARD_INPUTS = 2000
_PHASE = 1500  # inputs of each phase of the script


@dataclass(frozen=True, kw_only=True)
class DriftRun:
    """The results of routing a drifting stream, one input after the other.

    Attributes:
        deviation: the largest absolute difference between the target and the offload share of any
            window of 500 inputs, in percentage points.
        share: the offload share of the whole stream, %.
        accuracy: the accuracy of the answers, %.
    """

    deviation: float
    share: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class DriftDetection:
    """The output of the drift detector for one rule.

    Attributes:
        drifting: the share of test inputs after which the detector reports drift, %. The detector
            sees pictures in random order, and people's recordings in their original order.
        alarms: the number of times that the detector starts to report drift.
        delay: the median number of hard inputs until an alarm, over 20 random sequences of hard
            inputs. A sequence without an alarm counts as infinite. The delay is None for people's
            recordings.
    """

    drifting: float
    alarms: int
    delay: float | None


def run_drift(
    routers: FittedRouters, rule: CascadeRule, curve: RoutingCurve
) -> tuple[DriftRun, DriftRun]:
    """Route a drifting stream twice, once with a target window and once with fixed thresholds.

    The target is an offload share of 20 %.

    Args:
        routers: the fitted routers. Only ours is used.
        rule: the rule, which runs one capacity or a cascade.
        curve: the routing curve with the thresholds of the rule.

    Returns:
        The results with a target window of 500 inputs, and the results with fixed thresholds.
    """
    models, predictions = routers.models, routers.predictions["test"]
    order = _scripted_order(models, rule.top - 1)
    gained = gains(rule, predictions).part(order)
    right = models.test.right
    device, cloud = of_answering_capacity(rule, predictions, right)[order], right[order, -1]
    runs = []
    for window in (_WINDOW, 0):
        sent = _route(curve, Budget(offload_share=_TARGET, target_window=window), gained)
        sums = np.concatenate([[0], np.cumsum(sent)])
        shares = 100 * (sums[_WINDOW:] - sums[:-_WINDOW]) / _WINDOW
        runs.append(
            DriftRun(
                deviation=float(np.abs(shares - 100 * _TARGET).max()),
                share=float(100 * sent.mean()),
                accuracy=float(100 * np.where(sent, cloud, device).mean()),
            )
        )
    return runs[0], runs[1]


def _scripted_order(models: SeedModels, index: int) -> NDArray[np.intp]:
    """Return the indices of test inputs in an order that drifts.

    For pictures, there are four phases of 1,500 random inputs each: from all classes, from the hard
    classes, from the easy classes, and from all classes again. People's recordings keep their
    order, because each of them is one person's exercise.

    Args:
        models: the models of the task and seed.
        index: the capacity that decides which classes are hard, from 0.
    """
    if models.has_people:
        return np.arange(len(models.test))
    rng = np.random.default_rng(models.seed)
    hard = _hard_inputs(models, index)
    everything = np.ones(len(hard), np.bool_)
    phases = (everything, hard, ~hard, everything)
    return np.concatenate([rng.choice(np.flatnonzero(phase), _PHASE) for phase in phases])


def _hard_inputs(models: SeedModels, index: int) -> NDArray[np.bool_]:
    """Return which test inputs belong to the half of the classes with the lowest accuracy, (N,).

    Args:
        models: the models of the task and seed.
        index: the capacity whose accuracy counts, from 0.
    """
    labels, device = models.test.labels, models.test.right[:, index]
    classes = np.unique(labels)
    hardest = classes[np.argsort([device[labels == label].mean() for label in classes])]
    return np.isin(labels, hardest[: len(classes) // 2])


def _route(curve: RoutingCurve, budget: Budget, gained: Gains) -> NDArray[np.bool_]:
    """Return which inputs the device agent's own rules send to the cloud, (N,).

    Args:
        curve: the routing curve with the thresholds.
        budget: the budget with the target.
        gained: the predicted gains of the inputs, in order.
    """
    nothing, offload = (InputCost(share=n, energy=0, latency=0) for n in (0, 1))
    target = target_of(budget, kept=nothing, sent=offload)
    controller, sent = TargetController(), []
    for index in range(len(gained.accept)):
        thresholds = policy.thresholds_for(curve, controller.share_to_aim_at(target))
        gain = gained.part(np.array([index]))
        offloads = policy.keeps_nothing(thresholds) or bool(
            gain.sent(thresholds.gate, thresholds.accept)[0]
        )
        controller = controller.after_input(target, offload if offloads else nothing)
        sent.append(offloads)
    return np.array(sent)


def detect_drift(routers: FittedRouters, rule: CascadeRule, curve: RoutingCurve) -> DriftDetection:
    """Return the output of the drift detector on the test inputs, and its delay on hard ones.

    Args:
        routers: the fitted routers. Only ours is used.
        rule: the rule, which runs one capacity or a cascade.
        curve: the routing curve, with the quantiles of the success probabilities predicted for the
            calibration inputs.
    """
    models, index = routers.models, rule.top - 1
    predicted = routers.predictions["test"][rule.start - 1, :, index]
    ranks = np.array([rank_of(float(success), curve.believed) for success in predicted])
    rng = np.random.default_rng(models.seed)
    order = np.arange(len(ranks)) if models.has_people else rng.permutation(len(ranks))
    reports = _reports(ranks[order])
    return DriftDetection(
        drifting=float(100 * reports.mean()),
        alarms=int((reports[1:] & ~reports[:-1]).sum() + reports[0]),
        delay=None if models.has_people else _delay(ranks[_hard_inputs(models, index)], rng),
    )


def _delay(ranks: NDArray[np.float64], rng: np.random.Generator) -> float:
    """Return the median number of inputs until an alarm, over 20 random sequences of inputs.

    A sequence of 2,000 inputs without an alarm counts as infinite.

    Args:
        ranks: the ranks of the inputs that the sequences are sampled from, (N,).
        rng: the random number generator.
    """
    delays = []
    for _ in range(20):
        reports = _reports(rng.choice(ranks, HARD_INPUTS))
        delays.append(float(reports.argmax() + 1) if reports.any() else np.inf)
    return float(np.median(delays))


def _reports(ranks: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether the detector reports drift after each input, (N,).

    Args:
        ranks: the rank of each input's predicted success among the calibration inputs, (N,).
    """
    detector, reports = DriftDetector(), []
    for rank in ranks:
        detector = detector.after_input(float(rank))
        reports.append(detector.noticed)
    return np.array(reports)
