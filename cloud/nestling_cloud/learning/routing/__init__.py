"""Routing: what tells who is right, the prices that turn wishes into routes, and their promises.

Everything here learns from inputs that teacher and student did not train on. A part of them fits
the multiplexer; prices and promises are read off the rest.
"""

from nestling_cloud.learning.routing.calibration import calibrate, judge
from nestling_cloud.learning.routing.cascade import (
    Ascent,
    Gains,
    at_once,
    climbs,
    find_ascent,
    gains,
    taken,
)
from nestling_cloud.learning.routing.correctness_labels import success_targets
from nestling_cloud.learning.routing.data import RoutingData, share_out
from nestling_cloud.learning.routing.fit_multiplexer import Design, beliefs, fit_multiplexer
from nestling_cloud.learning.routing.multiplexer_design import DESIGNS, choose_design
from nestling_cloud.learning.routing.operating_points import GATED_PART, SHARES, operating_point
from nestling_cloud.learning.routing.risk_guarantee import (
    DELTA,
    RISKS,
    Judged,
    certify,
    upper_bound,
)

__all__ = [
    "DELTA",
    "DESIGNS",
    "GATED_PART",
    "RISKS",
    "SHARES",
    "Ascent",
    "Design",
    "Gains",
    "Judged",
    "RoutingData",
    "at_once",
    "beliefs",
    "calibrate",
    "certify",
    "choose_design",
    "climbs",
    "find_ascent",
    "fit_multiplexer",
    "gains",
    "judge",
    "operating_point",
    "share_out",
    "success_targets",
    "taken",
    "upper_bound",
]
