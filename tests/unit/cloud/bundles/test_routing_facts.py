import pytest

from nestling.v1.bundle_pb2 import Calibration, Cascade, ClientAccuracy, RoutingCurve, StreamFilter
from nestling_cloud.bundles.routing_facts import (
    FilterFacts,
    calibration_inputs,
    routing_facts,
    routing_lines,
)

NO_FILTER = (
    "none: calibration inputs are no recordings, neighbors do not share their class more often "
    "than by chance, or there are more than 32 classes"
)
FILTER = StreamFilter(stay=0.96, reread=0.1, misread=0.2, weight=0.25, doubt=0.05)


def lines(calibration: Calibration, *, cloud: float = 0.9) -> list[str]:
    accuracies = [0.8] * len(calibration.curves)
    return routing_lines(routing_facts(calibration), accuracies, cloud)


@pytest.mark.parametrize(
    ("rule", "fitted", "text"),
    [
        (
            "max-softmax",
            78,
            (
                "plain confidence rule (max-softmax): 130 calibration inputs; "
                "networks are tried from 834"
            ),
        ),
        ("margin", 948, "plain confidence rule (margin): no network proved better"),
        ("network", 948, "network, which proved better than the plain confidence rules"),
        ("", 0, "this bundle does not say by which rule"),
    ],
)
def test_rule_is_named_with_its_reason(rule: str, fitted: int, text: str) -> None:
    made = Calibration(rule=rule, network_inputs=834, inputs=52, fitted_inputs=fitted)

    assert lines(made)[0] == f"routing: {text}"


def test_rule_of_few_held_out_inputs_is_not_blamed_on_them() -> None:
    made = Calibration(rule="max-softmax", network_inputs=834, inputs=334, fitted_inputs=500)

    assert not routing_facts(made).too_few_inputs


def test_inputs_are_unknown_if_the_bundle_counts_only_those_held_out() -> None:
    assert calibration_inputs(Calibration(inputs=52)) == 0
    assert calibration_inputs(Calibration(inputs=52, fitted_inputs=78)) == 130


def test_filter_of_every_route_is_described() -> None:
    made = Calibration(
        curves=[RoutingCurve(filter=FILTER), RoutingCurve(filter=FILTER)],
        cascades=[Cascade(), Cascade(start=1, curve=RoutingCurve(filter=FILTER))],
    )
    made.curves[1].filter.stay = 0.99967

    facts = routing_facts(made)

    assert [(route.capacity, route.start) for route in facts.routes] == [(1, 0), (2, 0), (2, 1)]
    assert facts.routes[0].filter == FilterFacts(
        stay=0.96, reread=0.1, misread=0.2, weight=0.25, doubt=0.05
    )
    rest = (
        "; the student misreads 20% of the stretches, and may change its reading at 10% of the "
        "inputs; outputs count with weight 0.25, the cloud's answers with 0.95"
    )
    stays = "the class of the next input stays with probability"
    assert lines(made)[1:] == [
        "stream filter:",
        f"  capacity 1: {stays} 0.96{rest}",
        f"  capacity 2: {stays} 0.99967{rest}",
        f"  cascade from 1 to 2: {stays} 0.96{rest}",
    ]


def test_independent_inputs_have_no_filter() -> None:
    made = Calibration(curves=[RoutingCurve()])

    assert routing_facts(made).routes[0].filter is None
    assert lines(made)[1:] == [f"stream filter: {NO_FILTER}"]


def test_capacity_without_a_filter_says_so_beside_others() -> None:
    made = Calibration(curves=[RoutingCurve(), RoutingCurve(filter=FILTER)])

    assert lines(made)[2] == f"  capacity 1: {NO_FILTER}"


def test_cloud_that_is_less_accurate_is_named() -> None:
    made = Calibration(
        curves=[RoutingCurve(), RoutingCurve(useful_share=0.05)],
        cascades=[Cascade(), Cascade(start=1, curve=RoutingCurve(useful_share=0.0))],
    )

    facts = routing_facts(made)

    assert [route.useful_share for route in facts.routes] == [None, 0.05, 0.0]
    worse = "the cloud is less accurate than capacity 2 on calibration inputs (75.0% against 80.0%)"
    assert lines(made, cloud=0.75)[2:] == [
        f"{worse}: at most 5.0% of the inputs is sent to it",
        f"{worse}: in the cascade from 1 to 2, at most 0.0% of the inputs is sent to it",
    ]


def test_cloud_that_is_only_slightly_less_accurate_is_named_without_a_limit() -> None:
    unlimited = Calibration(curves=[RoutingCurve(), RoutingCurve()])

    (line,) = lines(unlimited, cloud=0.79)[2:]
    assert line == (
        "the cloud is less accurate than capacity 1 on calibration inputs (79.0% against 80.0%); "
        "this may be chance, so the share sent to it is not limited"
    )
    assert not lines(unlimited, cloud=0.8)[2:]


def test_what_clients_found_replaces_what_calibration_says_if_the_cloud_is_worse() -> None:
    found = ClientAccuracy(clients=6, inputs=432, device=0.785, cloud=0.646, cloud_is_worse=True)
    limited = Calibration(curves=[RoutingCurve(useful_share=0.0)] * 2, clients=found)

    (line,) = lines(limited)[2:]
    assert line == (
        "of 432 labeled inputs of 6 clients, the cloud answers 64.6% correctly and the devices "
        "78.5%: no input is sent to the cloud"
    )


def test_what_clients_found_is_stated_if_the_cloud_is_better() -> None:
    found = ClientAccuracy(clients=2, inputs=90, device=0.7, cloud=0.8)

    assert lines(Calibration(curves=[RoutingCurve()], clients=found))[2:] == [
        "of 90 labeled inputs of 2 clients, the cloud answers 80.0% correctly and the devices 70.0%"
    ]
