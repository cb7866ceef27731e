"""Everything that the routing benchmark finds for one task and one seed of its models."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.cascade import CascadeResult, cascade, cascade_of
from benchmarks.routing.costs import (
    calibration_error,
    cloud_saving,
    energy_saving,
    run_mj,
)
from benchmarks.routing.curves import (
    OURS,
    SHARES,
    Split,
    accuracies,
    area_differences,
    fit_split,
)
from benchmarks.routing.drift import WINDOW, DriftRun, drift
from benchmarks.routing.drift_detection import DriftDetection, noticed
from benchmarks.routing.guarantee import RiskCheck, ShippedGuarantee, guarantees, shipped
from benchmarks.routing.misleading_confidence import CONDITIONS, MisfitDraw, odd
from benchmarks.routing.seed_models import SeedModels
from nestling.v1.bundle_pb2 import Calibration, RoutingCurve
from nestling_cloud.learning.routing import CascadeRule, Design, at_once, calibrate
from nestling_cloud.learning.routing.rivals import RIVALS
from nestling_cloud.models.multiplexer import Multiplexer

Doubles = NDArray[np.float64]
# Capacities that routers are compared from, counted from 0: the smallest and the second.
FROM = (0, 1)
UP = "cascade to the largest"
# Splits on which routers are fitted where confidence misleads.
_ODD = 2


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """One task, one seed of its models. Lists and arrays begin with the smallest capacity.

    Attributes:
        world: the models.
        curves: accuracies, %, at `SHARES` by router: (splits, K, shares).
        ahead: area of our router minus a rival's, mean over splits, over resampled test inputs, by
            rival and for each of `FROM`.
        cloud_savings: for each split and capacity, (splits, K).
        energy_savings: likewise, %.
        errors: expected calibration error, points, of the multiplexer's word on what may follow.
        designs: of our router, for each split.
        kept: promises over many draws, by way to a capacity: the smallest and the second at once,
            and the cascade to the largest.
        shipped: promises as a bundle ships them, likewise.
        drifted: with and without a window, likewise.
        noticed: what the detector of drift says, likewise.
        larger_share: the cascades to the second and to the largest capacity, for each split.
        odd: where confidence misleads, by condition, for the first splits.
        multiplexer: of the first split.
    """

    world: SeedModels
    curves: Mapping[str, Doubles]
    ahead: Mapping[str, list[Doubles]]
    cloud_savings: Doubles
    energy_savings: Doubles
    errors: Mapping[str, float]
    designs: list[Design]
    kept: Mapping[str, list[RiskCheck]]
    shipped: Mapping[str, list[ShippedGuarantee]]
    drifted: Mapping[str, tuple[DriftRun, DriftRun]]
    noticed: Mapping[str, DriftDetection]
    larger_share: Mapping[str, list[CascadeResult]]
    odd: Mapping[str, list[MisfitDraw]]
    multiplexer: Multiplexer

    @property
    def device(self) -> Doubles:
        """Accuracy of every capacity by itself, %."""
        found: Doubles = 100 * self.world.test.right[:, :-1].mean(axis=0)
        return found

    @property
    def cloud(self) -> float:
        """Accuracy of the teacher, %."""
        return float(100 * self.world.test.right[:, -1].mean())

    def accuracy(self, router: str, index: int, share: float) -> float:
        """Mean over splits, %, at a share of 0 to 0.5."""
        return float(self.curves[router][:, index, round(share * 100)].mean())

    def recovered(self, router: str, index: int, share: float) -> float:
        """Part of the gap between device and cloud that is won back, %."""
        device = float(self.device[index])
        return 100 * (self.accuracy(router, index, share) - device) / (self.cloud - device)


def find(world: SeedModels, splits: int) -> SeedResult:
    """Fit routers on several draws of the calibration inputs and judge them on the test inputs."""
    fitted = [fit_split(world, number) for number in range(splits)]
    capacities, first = range(world.test.capacities), fitted[0]
    top = world.test.capacities
    calibration = calibrate(first.multiplexer, first.fitted, first.held_out, world.macs[:-1])
    ways = {
        "smallest": at_once(1),
        "second": at_once(2),
        UP: cascade_of(world, first, top),
    }
    return SeedResult(
        world=world,
        curves={name: _curves(world, fitted, name) for name in first.urgencies},
        ahead={
            rival.name: [
                np.mean([area_differences(world, one, index, rival.name) for one in fitted], axis=0)
                for index in FROM
            ]
            for rival in RIVALS
            if rival.name != "oracle"
        },
        cloud_savings=np.array(
            [[cloud_saving(world, one, index) for index in capacities] for one in fitted]
        ),
        energy_savings=np.array(
            [[_energy_saving(world, one, index) for index in capacities] for one in fitted]
        ),
        errors=_errors(world, first),
        designs=[one.design for one in fitted],
        kept={name: guarantees(world, first, way) for name, way in ways.items()},
        shipped={name: shipped(world, first, way) for name, way in ways.items()},
        drifted={
            name: (
                drift(world, first, way, _curve(calibration, way), window=WINDOW),
                drift(world, first, way, _curve(calibration, way), window=0),
            )
            for name, way in ways.items()
        },
        noticed={
            name: noticed(world, first, way, _curve(calibration, way)) for name, way in ways.items()
        },
        larger_share={
            "second": [cascade(world, one, 2) for one in fitted],
            "largest": [cascade(world, one, top) for one in fitted],
        },
        odd={
            condition: [odd(world, number, condition) for number in range(min(splits, _ODD))]
            for condition in CONDITIONS
        },
        multiplexer=first.multiplexer,
    )


def _curve(calibration: Calibration, way: CascadeRule) -> RoutingCurve:
    if way.start == way.top:
        return calibration.curves[way.top - 1]
    return calibration.cascades[way.top - 1].curve


def _energy_saving(world: SeedModels, split: Split, index: int) -> float:
    return energy_saving(
        world,
        split,
        index,
        urgency=split.urgencies[OURS][index],
        device=world.test.right[:, index],
        compute_mj=run_mj(world, index + 1, split.multiplexer),
    )


def _curves(world: SeedModels, fitted: list[Split], name: str) -> Doubles:
    right = world.test.right
    return np.array(
        [
            [
                accuracies(urgency, right[:, index], right[:, -1], SHARES)
                for index, urgency in enumerate(one.urgencies[name])
            ]
            for one in fitted
        ]
    )


def _errors(world: SeedModels, split: Split) -> dict[str, float]:
    test, believed = world.test, split.believed["test"]
    options = [*(f"capacity {k}" for k in range(1, test.capacities + 1)), "cloud"]
    found = {}
    for index, after in enumerate(believed):
        for i, option in enumerate(options[index:], start=index):
            found[f"after capacity {index + 1} ran: {option}"] = calibration_error(
                after[:, i], test.right[:, i]
            )
    return found


def interval(differences: Doubles) -> tuple[float, float, float]:
    """Mean, and the middle 95 %."""
    low, high = np.quantile(differences, [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)


__all__ = ["FROM", "OURS", "SHARES", "UP", "SeedResult", "find", "interval"]
