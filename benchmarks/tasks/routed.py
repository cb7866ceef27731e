"""Computes how well a trained task is answered by the device, by the cloud, and by both together.

At a share, a router sends exactly that share of the test inputs, those with the highest scores.
Which they are follows from the outputs of the capacity that ran alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.streams.curves import FILTERED, OURS, SHARES, curves_from
from benchmarks.streams.fitted import DEVICES, fit_router, starts_of
from benchmarks.tasks.learned import Learned
from nestling_cloud.learning.routing import (
    RoutingData,
    beliefs,
    choose_design,
    fit_multiplexer,
    share_out,
)
from nestling_cloud.progress import SilentProgress
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.kind import Answers
from nestling_core.kinds.regression import Regression

TARGETS = (0.1, 0.2)
"""The offload shares at which routers are compared."""
PLAIN, BEHIND = "plain", "behind the filter"

Margins = Mapping[str, Mapping[str, Mapping[float, float]]]
"""Our accuracy minus that of margin, in points, by start, way and share."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How good some answers are.

    Attributes:
        success: the share of inputs that are answered rightly, %.
        f1: in an anomaly task, the F1 score of anomalies, %; otherwise None.
        false_alarms: in an anomaly task, the share of normal inputs that are called anomalies, %;
            otherwise None.
        error: in a regression task, the mean absolute error of the first value; otherwise None.
    """

    success: float
    f1: float | None = None
    false_alarms: float | None = None
    error: float | None = None


@dataclass(frozen=True, kw_only=True)
class Routed:
    """The quality of each way to answer the test inputs.

    Attributes:
        device: each capacity alone, smallest first.
        routed: each capacity together with the cloud, which is sent a tenth of the inputs.
        cloud: the cloud alone.
    """

    device: list[Quality]
    routed: list[Quality]
    cloud: Quality


def measure_routed(learned: Learned, seed: int, share: float = TARGETS[0]) -> Routed:
    """Return the quality of a trained task's answers, with the router that a bundle would ship.

    Args:
        learned: the trained task.
        seed: the seed of the router's fit.
        share: the share of the inputs that is sent to the cloud.
    """
    test, kind = learned.test, learned.kind
    fitted, _ = share_out(learned.calibration)
    design = choose_design(fitted, seed=seed, progress=SilentProgress())
    estimator = fit_multiplexer(fitted, seed=seed, progress=SilentProgress(), design=design)
    cloud, device, routed = kind.answers(test.cloud), [], []
    for index, believed in enumerate(beliefs(estimator, test)):
        own = kind.answers(test.logits[index])
        sent = highest(believed[:, -1] - believed[:, index], share)
        both = np.where(sent.reshape(-1, *(1,) * (own.ndim - 1)), cloud, own)
        device.append(quality(test, own))
        routed.append(quality(test, both))
    return Routed(device=device, routed=routed, cloud=quality(test, cloud))


def highest(scores: NDArray[np.floating], share: float) -> NDArray[np.bool_]:
    """Return which inputs are sent, a share of all: those with the highest scores, (N,)."""
    sent = np.zeros(len(scores), np.bool_)
    sent[np.argsort(-scores, kind="stable")[: round(share * len(scores))]] = True
    return sent


def quality(data: RoutingData, answers: Answers) -> Quality:
    """Return how good answers to all inputs are.

    Args:
        data: the inputs, with their labels and kind.
        answers: the answers, (N, ...).
    """
    kind, labels = data.kind, data.labels
    found = Quality(success=float(100 * kind.success(answers, labels).mean()))
    if isinstance(kind, Anomaly):
        alarms, wrong = kind.decisions(answers), kind.decisions(labels)
        return replace(
            found,
            f1=float(200 * (alarms & wrong).sum() / max(alarms.sum() + wrong.sum(), 1)),
            false_alarms=float(100 * alarms[~wrong].mean()) if not wrong.all() else 0.0,
        )
    if isinstance(kind, Regression):
        return replace(found, error=float(np.abs(answers[:, 0] - labels[:, 0]).mean()))
    return found


def measure_margins(learned: Learned, seed: int) -> Margins:
    """Return how much better our router is than margin at the same share.

    Both are compared judging every input by itself ("plain"), and both behind the bundle's stream
    filter where there is one.

    Args:
        learned: a trained single-label task.
        seed: the seed of the router's fit.
    """
    test = _for_devices(learned.test)
    router = fit_router(learned.calibration, test, seed)
    found = {}
    for start, rule in starts_of(test).items():
        plain = curves_from(router, rule, None)
        found[start] = {PLAIN: _differences(plain, "margin")}
        stream_filter = router.filter_of(rule)
        if stream_filter is not None:
            behind = curves_from(router, rule, stream_filter)
            found[start][BEHIND] = _differences(behind, f"margin{FILTERED}")
    return found


def _for_devices(test: RoutingData) -> RoutingData:
    """Return test inputs with a recording for every device, cut where there are too few."""
    if len(test.lengths) >= DEVICES:
        return test
    parts = np.array_split(np.arange(len(test)), DEVICES)
    return replace(test, lengths=[len(part) for part in parts])


def _differences(curves: Mapping[str, list[float]], rival: str) -> dict[float, float]:
    places = {share: int(np.abs(SHARES - share).argmin()) for share in TARGETS}
    return {share: curves[OURS][place] - curves[rival][place] for share, place in places.items()}
