from nestling.v1.bundle_pb2 import Calibration, CertifiedPoint, Climb, RoutingCurve
from nestling_cloud.bundles.guarantee_text import promise_lines, promises


def curve(*risks: float) -> RoutingCurve:
    return RoutingCurve(
        certified=[CertifiedPoint(risk=risk, delta=0.1, offload_share=0.4) for risk in risks]
    )


def test_promises_of_each_capacity_and_of_the_way_up_to_it_are_told() -> None:
    calibration = Calibration(
        curves=[curve(), curve(0.005, 0.02)],
        climbs=[Climb(), Climb(start=1, curve=curve(0.03))],
    )

    told = promises(calibration)

    assert told == [
        {"capacity": 1, "promised": [], "start": 0, "on_the_way_up": []},
        {
            "capacity": 2,
            "promised": [
                {"risk": 0.005, "delta": 0.1, "offload_share": 0.4},
                {"risk": 0.02, "delta": 0.1, "offload_share": 0.4},
            ],
            "start": 1,
            "on_the_way_up": [{"risk": 0.03, "delta": 0.1, "offload_share": 0.4}],
        },
    ]
    assert promise_lines(told)[1:] == [
        "  capacity 1: none; that takes more calibration inputs, or a student that errs less",
        "  capacity 2: 0.5% at 40%, 2.0% at 40%",
        "  from 1 up to 2: 3.0% at 40%",
    ]


def test_calibration_without_ways_up_has_promises_too() -> None:
    told = promises(Calibration(curves=[curve(0.02)]))

    assert [one["start"] for one in told] == [0]
    assert len(promise_lines(told)) == 2
