"""Routing: what tells who is right, the prices that turn wishes into routes, and their promises.

Everything here learns from inputs that teacher and student did not train on. A part of them fits
the networks; prices and promises are read off the rest.
"""

from nestling_cloud.routing.affordable import Costs, fit_affordable
from nestling_cloud.routing.calibration import calibrate
from nestling_cloud.routing.data import RoutingData, share_out
from nestling_cloud.routing.points import GATED_PART, SHARES, operating_point
from nestling_cloud.routing.promise import DELTA, RISKS, Judged, certify, upper_bound
from nestling_cloud.routing.router import (
    Gains,
    Router,
    acceptance,
    believed_right,
    fit_router,
    gains,
)
from nestling_cloud.routing.targets import success_targets

__all__ = [
    "DELTA",
    "GATED_PART",
    "RISKS",
    "SHARES",
    "Costs",
    "Gains",
    "Judged",
    "Router",
    "RoutingData",
    "acceptance",
    "believed_right",
    "calibrate",
    "certify",
    "fit_affordable",
    "fit_router",
    "gains",
    "operating_point",
    "share_out",
    "success_targets",
    "upper_bound",
]
