"""A plan for a guarantee is checked before a device uses it."""

import math
from collections.abc import Callable

import pytest

from nestling.v1.bundle_pb2 import (
    AuditedThreshold,
    Calibration,
    Cascade,
    GuaranteePlan,
    OperatingPoint,
    RoutingCurve,
)
from nestling_core.routing.calibration import BadCalibrationError, parse_calibration


def planned(change: Callable[[GuaranteePlan], object] = lambda plan: None) -> RoutingCurve:
    """Return a curve with a plan, after a change to the plan."""
    plan = GuaranteePlan(
        thresholds=[
            AuditedThreshold(accept_threshold=-0.1, kept=10, changed=0),
            AuditedThreshold(accept_threshold=0.1, kept=40, changed=40),
        ],
        inputs=40,
        dependence=20,
    )
    change(plan)
    return RoutingCurve(
        points=[OperatingPoint(offload_share=share) for share in (0.0, 1.0)],
        believed=[0.0, 1.0],
        guarantee=plan,
    )


def test_plan_passes() -> None:
    made = Calibration(curves=[planned()], cascades=[Cascade()])

    assert parse_calibration(made.SerializeToString(), 1) == made


def many(plan: GuaranteePlan) -> None:
    for place in range(63):
        plan.thresholds.add(accept_threshold=1 + place, kept=1)


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan.ClearField("thresholds"),
        lambda plan: setattr(plan.thresholds[1], "accept_threshold", -0.1),
        lambda plan: setattr(plan.thresholds[1], "accept_threshold", math.inf),
        lambda plan: setattr(plan.thresholds[0], "accept_threshold", math.nan),
        lambda plan: setattr(plan.thresholds[0], "changed", 11),
        lambda plan: setattr(plan.thresholds[1], "kept", 41),
        lambda plan: setattr(plan, "dependence", 0),
        lambda plan: setattr(plan, "dependence", 10_001),
        many,
    ],
    ids=[
        *("no threshold", "equal", "inf", "nan", "more changed than kept", "more kept than all"),
        *("no dependence", "endless dependence", "65 thresholds"),
    ],
)
def test_invalid_plan_is_refused(change: Callable[[GuaranteePlan], object]) -> None:
    broken = planned(change)
    by_curve = Calibration(curves=[planned(), broken])
    by_cascade = Calibration(
        curves=[planned(), planned()], cascades=[Cascade(), Cascade(start=1, curve=broken)]
    )

    for made, whose in ((by_curve, "capacity 2"), (by_cascade, "the cascade to capacity 2")):
        with pytest.raises(BadCalibrationError, match=f"guarantee of {whose} has thresholds"):
            parse_calibration(made.SerializeToString(), 2)
