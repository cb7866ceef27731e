"""Computes the results of one subject split of `wearable`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.routing.seed_models import SeedModels
from benchmarks.streams.curves import OURS, curves_from, ours_from
from benchmarks.streams.device_run import Routing, run_device
from benchmarks.streams.few_inputs import measure_few
from benchmarks.streams.fitted import FittedRouter, fit_router, starts_of
from benchmarks.streams.look_ahead import measure_look_ahead
from benchmarks.streams.recordings import cut_into_quarters, first_quarters
from benchmarks.streams.skipping import measure_skipping
from nestling.v1.bundle_pb2 import RoutingCurve, StreamFilter
from nestling_cloud.learning.routing import CascadeRule, calibrate
from nestling_core.routing.curve import useful_share

CUTS = {"in quarters": cut_into_quarters, "first quarter": first_quarters}
WHOLE = "whole"
CASCADE = f"{OURS}, cascade"
TARGETS = (0.1, 0.4)
# Orders of the test recordings in which the device answers them.
_ORDERS = 4

# A mapping from "smallest" and "largest".
ByStart = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SplitResult:
    """The results of one subject split.

    Attributes:
        seed: the seed of the split, the models and the fits.
        inputs: the numbers of fitted, held-out and test inputs.
        design: the rule of the estimator, with its options.
        accuracies: the accuracy of each capacity, smallest first, and of the cloud, %.
        curves: for whole recordings ("whole") and for each of `CUTS`, for "smallest" and "largest",
            the accuracies of each router at `SHARES`, %.
        filters: for whole recordings and for each of `CUTS`, for "smallest" and "largest", the
            parameters of the filter. Where none is useful, there is no entry.
        useful_shares: for "smallest", "largest" and "cascade", the largest share that pays.
        device_runs: for "smallest", "largest" and "cascade" and each target, the results of
            answering the test recordings one by one, for each order of them.
        uncorrected: the same at 10 %, without corrections by the cloud's answers.
        skipping: for "smallest" and "largest", what skipping saves and costs.
        look_ahead: for "smallest" and "largest", what looking ahead gains.
        few: our accuracy minus that of max-softmax with few calibration inputs, in points.
    """

    seed: int
    inputs: list[int]
    design: str
    accuracies: list[float]
    curves: dict[str, dict[str, dict[str, list[float]]]]
    filters: dict[str, dict[str, dict[str, float]]]
    useful_shares: dict[str, float]
    device_runs: dict[str, dict[str, list[dict[str, float]]]]
    uncorrected: dict[str, list[dict[str, float]]]
    skipping: dict[str, dict[str, float]]
    look_ahead: dict[str, dict[str, float]]
    few: dict[str, list[float]]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "SplitResult":
        """Return the result that a cell (the stored result of a finished step) contains."""
        return cls(**{name: content[name] for name in cls.__annotations__})

    @property
    def cloud(self) -> float:
        """The accuracy of the cloud alone, %."""
        return self.accuracies[-1]


def measure_split(models: SeedModels) -> SplitResult:
    """Return the results of one subject split.

    Args:
        models: the models of the split.
    """
    seed = models.seed
    router = fit_router(models.calibration, models.test, seed)
    starts, routings = starts_of(router.test), _routings(router, models.macs[:-1])
    filters = {start: _filter(routings[start].curve) for start in starts}
    cascade = routings["cascade"]
    curves, all_filters = {WHOLE: _curves(router, filters)}, {WHOLE: filters}
    curves[WHOLE]["largest"][CASCADE] = ours_from(router, cascade.cascade, _filter(cascade.curve))
    for name, cut in CUTS.items():
        short = fit_router(cut(models.calibration), cut(models.test), seed)
        all_filters[name] = {start: short.filter_of(one) for start, one in starts.items()}
        curves[name] = _curves(short, all_filters[name])
    useful = {start: one for start, one in filters.items() if one is not None}
    return SplitResult(
        seed=seed,
        inputs=[len(router.fitted), len(router.held_out), len(router.test)],
        design=str(router.design),
        accuracies=(100 * router.test.right.mean(axis=0)).tolist(),
        curves=curves,
        filters={
            name: {start: _fields(one) for start, one in by_start.items() if one is not None}
            for name, by_start in all_filters.items()
        },
        useful_shares={name: useful_share(one.curve) for name, one in routings.items()},
        device_runs={
            name: {str(target): _device_runs(router, one, target) for target in TARGETS}
            for name, one in routings.items()
        },
        uncorrected={
            name: _device_runs(router, one, TARGETS[0], corrected=False)
            for name, one in routings.items()
        },
        skipping={
            start: asdict(measure_skipping(router, starts[start].top, one))
            for start, one in useful.items()
        },
        look_ahead={
            start: asdict(measure_look_ahead(router, starts[start].top, one))
            for start, one in useful.items()
        },
        few=measure_few(models.calibration, models.test, seed),
    )


def _curves(
    router: FittedRouter, filters: Mapping[str, StreamFilter | None]
) -> dict[str, dict[str, list[float]]]:
    starts = starts_of(router.test)
    return {start: curves_from(router, starts[start], one) for start, one in filters.items()}


def _routings(router: FittedRouter, macs: Sequence[int]) -> dict[str, Routing]:
    """Return how devices route with the "smallest" or "largest" capacity, or in a "cascade".

    If the bundle has no cascade to the largest capacity, "cascade" is the same as "largest".

    Args:
        router: the fitted router.
        macs: the number of multiply-accumulates of each capacity, the smallest capacity first.
    """
    calibration = calibrate(router.estimator, router.fitted, router.held_out, macs)
    found = {
        start: Routing(cascade=rule, curve=calibration.curves[rule.top - 1])
        for start, rule in starts_of(router.test).items()
    }
    last = calibration.cascades[-1]
    if not last.start:
        return {**found, "cascade": found["largest"]}
    rule = CascadeRule(start=last.start, top=len(macs), threshold=last.threshold)
    return {**found, "cascade": Routing(cascade=rule, curve=last.curve)}


def _filter(curve: RoutingCurve) -> StreamFilter | None:
    return curve.filter if curve.HasField("filter") else None


def _device_runs(
    router: FittedRouter, routing: Routing, target: float, *, corrected: bool = True
) -> list[dict[str, float]]:
    return [
        asdict(run_device(router, routing, target, order=order, corrected=corrected))
        for order in range(_ORDERS)
    ]


def _fields(filtered: StreamFilter) -> dict[str, float]:
    return {field.name: getattr(filtered, field.name) for field in filtered.DESCRIPTOR.fields}
