"""Fits the multiplexer and the stream filter, finds thresholds, and plans risk guarantees.

The multiplexer predicts which options (capacities or cloud) answer an input correctly. All data
here comes from inputs that neither teacher nor student trained on. The multiplexer is fitted on one
part of these inputs, and thresholds are derived from the rest. This package may import
`learning.loop` and the cloud's `models` and `recipes`, but nothing else of `learning`.
"""

from nestling_cloud.learning.routing.calibration import calibrate
from nestling_cloud.learning.routing.cascade import (
    CascadeRule,
    Gains,
    at_once,
    fit_cascade,
    gains,
    of_answering_capacity,
    runs_larger,
)
from nestling_cloud.learning.routing.correctness_labels import success_targets
from nestling_cloud.learning.routing.data import FITTED_PART, RoutingData, share_out
from nestling_cloud.learning.routing.fit_multiplexer import (
    Design,
    Estimator,
    beliefs,
    fit_multiplexer,
)
from nestling_cloud.learning.routing.multiplexer_design import (
    FEWEST_FITTED,
    USUAL_NETWORK_INPUTS,
    choose_design,
)
from nestling_cloud.learning.routing.operating_points import GATED_PART, SHARES, operating_point

__all__ = [
    "FEWEST_FITTED",
    "FITTED_PART",
    "GATED_PART",
    "SHARES",
    "USUAL_NETWORK_INPUTS",
    "CascadeRule",
    "Design",
    "Estimator",
    "Gains",
    "RoutingData",
    "at_once",
    "beliefs",
    "calibrate",
    "choose_design",
    "data",
    "dependence_length",
    "fit_cascade",
    "fit_multiplexer",
    "gains",
    "guarantee_plan",
    "of_answering_capacity",
    "operating_point",
    "rivals",
    "routed_streams",
    "runs_larger",
    "share_out",
    "stream_filter",
    "stream_replay",
    "success_targets",
]
