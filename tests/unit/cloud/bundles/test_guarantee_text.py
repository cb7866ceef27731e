from nestling.v1.bundle_pb2 import Calibration, Cascade, CertifiedPoint, RoutingCurve
from nestling_cloud.bundles.guarantee_text import guarantee_lines, guarantees


def curve(*risks: float) -> RoutingCurve:
    return RoutingCurve(
        certified=[CertifiedPoint(risk=risk, delta=0.1, offload_share=0.4) for risk in risks]
    )


def test_guarantees_of_each_capacity_and_of_the_cascade_to_it_are_told() -> None:
    calibration = Calibration(
        curves=[curve(), curve(0.005, 0.02)],
        cascades=[Cascade(), Cascade(start=1, curve=curve(0.03))],
    )

    told = guarantees(calibration)

    assert told == [
        {"capacity": 1, "guaranteed": [], "start": 0, "by_cascade": []},
        {
            "capacity": 2,
            "guaranteed": [
                {"risk": 0.005, "delta": 0.1, "offload_share": 0.4},
                {"risk": 0.02, "delta": 0.1, "offload_share": 0.4},
            ],
            "start": 1,
            "by_cascade": [{"risk": 0.03, "delta": 0.1, "offload_share": 0.4}],
        },
    ]
    assert guarantee_lines(told)[1:] == [
        "  capacity 1: none; that takes more calibration inputs, or a student that errs less",
        "  capacity 2: 0.5% at 40%, 2.0% at 40%",
        "  from 1 up to 2: 3.0% at 40%",
    ]


def test_calibration_without_cascades_has_guarantees_too() -> None:
    told = guarantees(Calibration(curves=[curve(0.02)]))

    assert [one["start"] for one in told] == [0]
    assert len(guarantee_lines(told)) == 2
