"""Routing: what tells who is right, the prices that turn wishes into routes, and their promises.

Everything here learns from inputs that teacher and student did not train on. A part of them fits
the multiplexer; prices and promises are read off the rest.
"""

from nestling_cloud.routing.ascent import Ascent, Gains, at_once, climbs, find_ascent, gains, taken
from nestling_cloud.routing.calibration import calibrate, judge
from nestling_cloud.routing.data import RoutingData, share_out
from nestling_cloud.routing.design import DESIGNS, choose_design
from nestling_cloud.routing.multiplexer import Design, beliefs, fit_multiplexer
from nestling_cloud.routing.points import GATED_PART, SHARES, operating_point
from nestling_cloud.routing.promise import DELTA, RISKS, Judged, certify, upper_bound
from nestling_cloud.routing.targets import success_targets

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
