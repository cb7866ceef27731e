"""Computes the results on independent pictures and on a stream of pictures with bursts."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.streams.curves import SHARES, curves_from, ours_from, without_filter
from benchmarks.streams.fitted import FittedRouter, fit_router, starts_of
from benchmarks.streams.pictures import PictureModels
from nestling_cloud.learning.routing import RoutingData

ORDERS = 10
"""The number of random orders in which independent pictures are cut into recordings."""
_RECORDING = 50
_AREA = np.linspace(0, 0.5, 101)  # shares


@dataclass(frozen=True, kw_only=True)
class PictureResult:
    """The results of one seed on pictures. All mappings have the keys "smallest" and "largest".

    Attributes:
        plain_filters: the number of filters that were fitted to pictures without recordings.
        filters: the number of filters that were fitted to independent pictures in recordings.
        area_differences: the router's mean accuracy over offload shares minus that of the same
            router without the filter, in points. There is one difference for each order in which
            independent pictures are cut into recordings.
        accuracies: the accuracy of each capacity, smallest first, and of the cloud on the test
            stream with bursts, %.
        bursts: the curves of all routers on the test stream with bursts, %.
        filter: the parameters of the filter that was fitted to the stream with bursts.
    """

    plain_filters: int
    filters: int
    area_differences: dict[str, list[float]]
    accuracies: list[float]
    bursts: dict[str, dict[str, list[float]]]
    filter: dict[str, dict[str, float]]

    @classmethod
    def of(cls, content: dict[str, Any]) -> "PictureResult":
        """Return the result that a cell (the stored result of a finished step) contains."""
        return cls(**{name: content[name] for name in cls.__annotations__})


def measure_pictures(models: PictureModels, seed: int) -> PictureResult:
    """Return the results of one seed on pictures.

    Args:
        models: the outputs of the models.
        seed: the seed of the fits and of the orders.
    """
    calibration, test = models.independent
    router = fit_router(in_recordings(calibration), in_recordings(test), seed)
    starts = starts_of(router.test)
    single = replace(router, fitted=replace(router.fitted, lengths=()))
    differences: dict[str, list[float]] = {start: [] for start in starts}
    found, rng = 0, np.random.default_rng(seed)
    for _ in range(ORDERS):
        order = rng.permutation(len(router.fitted))
        shuffled = _in_order(router, order)
        for start, cascade in starts.items():
            filtered = shuffled.filter_of(cascade)
            found += filtered is not None
            ours = ours_from(shuffled, cascade, filtered)
            plain = without_filter(router, cascade.top)
            differences[start].append(_area(ours) - _area(plain))
    bursts = fit_router(*models.bursts, seed)
    filters = {start: bursts.filter_of(cascade) for start, cascade in starts.items()}
    return PictureResult(
        plain_filters=sum(single.filter_of(cascade) is not None for cascade in starts.values()),
        filters=found,
        area_differences=differences,
        accuracies=(100 * bursts.test.right.mean(axis=0)).tolist(),
        bursts={
            start: curves_from(bursts, cascade, filters[start]) for start, cascade in starts.items()
        },
        filter={
            start: {field.name: getattr(one, field.name) for field in one.DESCRIPTOR.fields}
            for start, one in filters.items()
            if one is not None
        },
    )


def in_recordings(data: RoutingData) -> RoutingData:
    """Return the same inputs, with every 50 consecutive ones marked as one recording."""
    ends = [*range(_RECORDING, len(data), _RECORDING), len(data)]
    return replace(data, lengths=np.diff([0, *ends]).tolist())


def _in_order(router: FittedRouter, order: NDArray[np.intp]) -> FittedRouter:
    fitted = in_recordings(router.fitted.part(order))
    return replace(router, fitted=fitted, known=router.known[:, order])


def _area(curve: list[float]) -> float:
    return float(np.interp(_AREA, SHARES, curve).mean())
