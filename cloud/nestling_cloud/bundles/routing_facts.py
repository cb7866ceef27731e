"""Describes how a bundle routes inputs: its rule, its stream filters, and where the cloud is worse.

A stream filter carries the belief about the class from one input of a stream to the next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nestling.v1.bundle_pb2 import Calibration, Cascade, ClientAccuracy, RoutingCurve, StreamFilter
from nestling_core.routing.curve import useful_share

_NETWORK = "network"
_NO_FILTER = (
    "none: calibration inputs are no recordings, neighbors do not share their class more often "
    "than by chance, or there are more than 32 classes"
)


@dataclass(frozen=True, kw_only=True)
class FilterFacts:
    """The parameters of a stream filter, as `StreamFilter` in bundle.proto defines them."""

    stay: float
    reread: float
    misread: float
    weight: float
    doubt: float


@dataclass(frozen=True, kw_only=True)
class RouteFacts:
    """How inputs are routed while a capacity (size of the student) is the largest in memory.

    Attributes:
        capacity: the number of the capacity, from 1.
        start: the number of the smaller capacity that runs first in a cascade, or 0 if the capacity
            runs directly.
        filter: the stream filter; None if the bundle has none.
        useful_share: the limit on the share of inputs that is sent to the cloud, which is set where
            the cloud is less accurate than the capacity on the calibration inputs, and is 0 where
            clients of federated rounds found the cloud worse; None if the share is not limited.
    """

    capacity: int
    start: int
    filter: FilterFacts | None
    useful_share: float | None

    @property
    def name(self) -> str:
        """The capacity or the cascade, in words."""
        if self.start:
            return f"cascade from {self.start} to {self.capacity}"
        return f"capacity {self.capacity}"


@dataclass(frozen=True, kw_only=True)
class ClientFacts:
    """What clients of federated rounds found on their own labeled inputs.

    Attributes:
        clients: the number of clients that asked the cloud.
        inputs: the number of inputs that these clients asked the cloud about.
        device: the mean accuracy of the capacity that each client holds.
        cloud: the mean accuracy of the cloud on these inputs.
        cloud_is_worse: whether the cloud is worse beyond chance, so that no input is sent to it.
    """

    clients: int
    inputs: int
    device: float
    cloud: float
    cloud_is_worse: bool


@dataclass(frozen=True, kw_only=True)
class RoutingFacts:
    """How a bundle routes inputs.

    Attributes:
        rule: the name of the rule that estimates how likely each option is right: "network", or
            that of a plain confidence rule; "" if the bundle does not say.
        inputs: the number of calibration inputs, or 0 if the bundle does not say.
        network_inputs: the smallest number of calibration inputs with which networks are tried, or
            0 if the kind of the task has only one rule.
        too_few_inputs: whether the rule is plain because there were fewer calibration inputs.
        routes: each capacity, the smallest first, and after it the cascade that ends in it, if any.
        clients: what clients of federated rounds found on their own labeled inputs, or None.
    """

    rule: str
    inputs: int
    network_inputs: int
    too_few_inputs: bool
    routes: tuple[RouteFacts, ...]
    clients: ClientFacts | None = None


def routing_facts(calibration: Calibration) -> RoutingFacts:
    """Return how a bundle with this calibration routes inputs."""
    inputs = calibration_inputs(calibration)
    plain = calibration.rule not in {"", _NETWORK}
    return RoutingFacts(
        rule=calibration.rule,
        inputs=inputs,
        network_inputs=calibration.network_inputs,
        too_few_inputs=plain and 0 < inputs < calibration.network_inputs,
        routes=tuple(_routes(calibration)),
        clients=_clients(calibration.clients) if calibration.HasField("clients") else None,
    )


def calibration_inputs(calibration: Calibration) -> int:
    """Return the number of all calibration inputs, or 0 if the bundle does not say.

    The accuracies in a manifest were measured on all of them, the routing curves only on some.
    """
    return calibration.fitted_inputs + calibration.inputs if calibration.fitted_inputs else 0


def routing_lines(facts: RoutingFacts, accuracies: Sequence[float], cloud: float) -> list[str]:
    """Return how a bundle routes inputs as lines of text.

    Args:
        facts: the facts to state.
        accuracies: the accuracy of each capacity on the calibration inputs, the smallest first.
        cloud: the accuracy of the cloud on the calibration inputs.
    """
    return [
        f"routing: {_rule_text(facts)}",
        *_filter_lines(facts.routes),
        *_worse_cloud_lines(facts, accuracies, cloud),
    ]


def clients_text(clients: ClientFacts) -> str:
    """Return a sentence about what clients of federated rounds found."""
    found = (
        f"of {clients.inputs:,} labeled inputs of {clients.clients} clients, the cloud answers "
        f"{clients.cloud:.1%} correctly and the devices {clients.device:.1%}"
    )
    return f"{found}: no input is sent to the cloud" if clients.cloud_is_worse else found


def _worse_cloud_lines(facts: RoutingFacts, accuracies: Sequence[float], cloud: float) -> list[str]:
    """Return sentences about a cloud that is less accurate than devices, and what follows."""
    if facts.clients is not None and facts.clients.cloud_is_worse:
        return [clients_text(facts.clients)]
    slightly_worse = _slightly_worse_cloud(facts.routes, accuracies, cloud)
    return [
        *([clients_text(facts.clients)] if facts.clients is not None else []),
        *(
            useful_share_text(route, accuracies[route.capacity - 1], cloud)
            for route in facts.routes
            if route.useful_share is not None
        ),
        *([slightly_worse] if slightly_worse else []),
    ]


def useful_share_text(route: RouteFacts, accuracy: float, cloud: float) -> str:
    """Return a sentence about a capacity that is more accurate than the cloud.

    Args:
        route: the capacity, which has a useful share.
        accuracy: its accuracy on the calibration inputs.
        cloud: the accuracy of the cloud on the same inputs.
    """
    where = f"in the {route.name}, " if route.start else ""
    return (
        f"the cloud is less accurate than capacity {route.capacity} on calibration inputs "
        f"({cloud:.1%} against {accuracy:.1%}): {where}at most {route.useful_share:.1%} of the "
        "inputs is sent to it"
    )


def _slightly_worse_cloud(
    routes: Sequence[RouteFacts], accuracies: Sequence[float], cloud: float
) -> str:
    """Return a sentence if the cloud is less accurate, but by too little to limit its share."""
    best = max(accuracies, default=0.0)
    if best <= cloud or any(route.useful_share is not None for route in routes):
        return ""
    return (
        f"the cloud is less accurate than capacity {accuracies.index(best) + 1} on calibration "
        f"inputs ({cloud:.1%} against {best:.1%}); this may be chance, so the share sent to it "
        "is not limited"
    )


def _routes(calibration: Calibration) -> Iterator[RouteFacts]:
    cascades = list(calibration.cascades) or [Cascade()] * len(calibration.curves)
    pairs = zip(calibration.curves, cascades, strict=True)
    for capacity, (curve, cascade) in enumerate(pairs, start=1):
        yield _route(capacity, 0, curve)
        if cascade.start:
            yield _route(capacity, cascade.start, cascade.curve)


def _route(capacity: int, start: int, curve: RoutingCurve) -> RouteFacts:
    return RouteFacts(
        capacity=capacity,
        start=start,
        filter=_filter(curve.filter) if curve.HasField("filter") else None,
        useful_share=useful_share(curve) if curve.HasField("useful_share") else None,
    )


def _clients(found: ClientAccuracy) -> ClientFacts:
    return ClientFacts(
        clients=found.clients,
        inputs=found.inputs,
        device=found.device,
        cloud=found.cloud,
        cloud_is_worse=found.cloud_is_worse,
    )


def _filter(parameters: StreamFilter) -> FilterFacts:
    return FilterFacts(
        stay=parameters.stay,
        reread=parameters.reread,
        misread=parameters.misread,
        weight=parameters.weight,
        doubt=parameters.doubt,
    )


def _rule_text(facts: RoutingFacts) -> str:
    if not facts.rule:
        return "this bundle does not say by which rule"
    if facts.rule == _NETWORK:
        return "network, which proved better than the plain confidence rules"
    why = "no network proved better"
    if not facts.network_inputs:
        why = "the rule of this kind of task"
    if facts.too_few_inputs:
        why = (
            f"{facts.inputs:,} calibration inputs; networks are tried from {facts.network_inputs:,}"
        )
    return f"plain confidence rule ({facts.rule}): {why}"


def _filter_lines(routes: Sequence[RouteFacts]) -> list[str]:
    if not any(route.filter for route in routes):
        return [f"stream filter: {_NO_FILTER}"]
    return [
        "stream filter:",
        *(f"  {route.name}: {_filter_text(route.filter)}" for route in routes),
    ]


def _filter_text(parameters: FilterFacts | None) -> str:
    if parameters is None:
        return _NO_FILTER
    return (
        "the class of the next input stays with probability "
        f"{_close_to_one(parameters.stay)}; the student misreads {parameters.misread:.0%} of the "
        f"stretches, and may change its reading at {parameters.reread:.0%} of the inputs; outputs "
        f"count with weight {parameters.weight:.2g}, the cloud's answers with "
        f"{_close_to_one(1 - parameters.doubt)}"
    )


def _close_to_one(probability: float) -> str:
    """Return a probability as text, with two significant digits in its distance from 1."""
    return f"{1 - float(f'{1 - probability:.2g}'):.10g}"
