"""Fits a router for streams as for a bundle, and deals the test recordings to devices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nestling.v1.bundle_pb2 import StreamFilter
from nestling_cloud.learning.routing import (
    CascadeRule,
    Design,
    Estimator,
    RoutingData,
    at_once,
    beliefs,
    choose_design,
    fit_multiplexer,
    share_out,
)
from nestling_cloud.learning.routing.data import Floats
from nestling_cloud.learning.routing.stream_filter import fit_filter
from nestling_cloud.learning.routing.stream_replay import Streams, deal_recordings, evidence_of
from nestling_cloud.progress import SilentProgress
from nestling_core.belief.evidence import softmax

DEVICES = 9
"""The devices to which test recordings are dealt, as many as in the default scenario."""
DEALS = 3
"""The number of random orders in which test recordings are dealt."""


@dataclass(frozen=True, kw_only=True)
class FittedRouter:
    """A router fitted on calibration recordings, and the test recordings to evaluate it on.

    Attributes:
        design: the chosen design of the estimator.
        estimator: the estimator, which predicts the success of every option.
        calibration: all calibration inputs.
        fitted: the calibration inputs that the estimator was fitted on.
        held_out: the other calibration inputs.
        test: the test inputs.
        known: the predicted success probabilities of the fitted inputs, (K, N, K + 1).
        predicted: the predicted success probabilities of the test inputs, (K, N, K + 1).
        streams: the test inputs as the streams of nine devices, in several random deals. Accuracies
            are means over them, because one answer of the cloud changes what is asked next.
    """

    design: Design
    estimator: Estimator
    calibration: RoutingData
    fitted: RoutingData
    held_out: RoutingData
    test: RoutingData
    known: Floats
    predicted: Floats
    streams: Sequence[Streams]

    def filter_of(self, cascade: CascadeRule) -> StreamFilter | None:
        """Return the stream filter for a cascade, or None if a filter is of no use."""
        return fit_filter(self.fitted, self.known, cascade)


def fit_router(calibration: RoutingData, test: RoutingData, seed: int) -> FittedRouter:
    """Return a router fitted as `nestling-cloud bundle train` fits it.

    Args:
        calibration: the calibration inputs.
        test: the test inputs.
        seed: the seed of the fits and of the order in which test recordings are dealt.
    """
    fitted, held_out = share_out(calibration)
    design = choose_design(fitted, seed=seed, progress=SilentProgress())
    estimator = fit_multiplexer(fitted, seed=seed, progress=SilentProgress(), design=design)
    predicted = beliefs(estimator, test)
    return FittedRouter(
        design=design,
        estimator=estimator,
        calibration=calibration,
        fitted=fitted,
        held_out=held_out,
        test=test,
        known=beliefs(estimator, fitted),
        predicted=predicted,
        streams=[deal(test, predicted, DEALS * seed + turn) for turn in range(DEALS)],
    )


def deal(data: RoutingData, predicted: Floats, seed: int) -> Streams:
    """Return recordings, dealt to nine devices as the simulator deals them.

    Args:
        data: the outputs of every option for the inputs of recordings.
        predicted: the predicted success probabilities, (K, N, K + 1).
        seed: the seed of the random order in which the recordings are dealt.
    """
    return Streams(
        places=deal_recordings(data.lengths, DEVICES, seed),
        evidence=evidence_of(data.logits, predicted),
        right=np.asarray(predicted, np.float64),
        cloud=softmax(data.cloud),
    )


def starts_of(data: RoutingData) -> dict[str, CascadeRule]:
    """Return two rules, which run only the "smallest" or only the "largest" capacity."""
    return {"smallest": at_once(1), "largest": at_once(data.capacities)}
