from nestling.v1.bundle_pb2 import Calibration, Cascade, CertifiedPoint, RoutingCurve
from nestling_cloud.bundles.guarantee_text import guarantee_lines, guarantees


def curve(*risks: float) -> RoutingCurve:
    return RoutingCurve(
        certified=[CertifiedPoint(risk=risk, delta=0.1, offload_share=0.4) for risk in risks]
    )


def test_guarantees_list_each_capacity_and_its_cascade() -> None:
    calibration = Calibration(
        curves=[curve(), curve(0.005, 0.02)],
        cascades=[Cascade(), Cascade(start=1, curve=curve(0.03))],
    )

    listed = guarantees(calibration)

    assert listed == [
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
    assert guarantee_lines(listed)[1:] == [
        "  capacity 1: none; this needs more calibration inputs or a more accurate student",
        "  capacity 2: 0.5% at 40%, 2.0% at 40%",
        "  cascade from 1 to 2: 3.0% at 40%",
    ]


def test_calibration_without_cascades_has_guarantees_too() -> None:
    listed = guarantees(Calibration(curves=[curve(0.02)]))

    assert [one["start"] for one in listed] == [0]
    assert len(guarantee_lines(listed)) == 2
