"""Whether promises are kept: how often a certified risk is exceeded on other inputs."""

from dataclasses import dataclass

import numpy as np

from benchmarks.routing.curves import Split
from benchmarks.routing.seed_models import SeedModels
from nestling_cloud.learning.routing import (
    DELTA,
    RISKS,
    CascadeRule,
    Gains,
    RoutedInputs,
    certify,
    route_inputs,
)

SPLITS = 200


@dataclass(frozen=True, kw_only=True)
class RiskCheck:
    """One risk from one capacity, over many draws of what is certified on.

    Attributes:
        risk: tolerated.
        guaranteed: share of draws in which it was promised.
        broken: share of draws in which it was promised and exceeded on the other inputs.
        offloaded: mean share of those inputs that the thresholds send to the cloud, %, where
            promised.
    """

    risk: float
    guaranteed: float
    broken: float
    offloaded: float


def guarantees(world: SeedModels, split: Split, cascade: CascadeRule) -> list[RiskCheck]:
    """Certify on a draw of inputs and look at all others, many times; the router stays as it is.

    Args:
        world: models and inputs.
        split: whose router it is; inputs that it was fitted on are not among those drawn.
        cascade: how a capacity is reached.
    """
    fitted = route_inputs(cascade, split.believed["fitted"], split.fitted)
    held_out = route_inputs(cascade, split.believed["held_out"], split.held_out)
    pool = _together(held_out, route_inputs(cascade, split.believed["test"], world.test))
    size = len(split.held_out)
    return [_kept(fitted, pool, size, risk, world.seed) for risk in RISKS]


def _kept(fitted: RoutedInputs, pool: RoutedInputs, size: int, risk: float, seed: int) -> RiskCheck:
    rng = np.random.default_rng(seed)
    broken, offloaded = [], []
    for _ in range(SPLITS):
        order = rng.permutation(len(pool.agrees))
        point = certify(fitted, _part(pool, order[:size]), risk=risk)
        if point is None:
            continue
        rest = _part(pool, order[size:])
        kept = rest.kept(point.gate_threshold, point.accept_threshold)
        broken.append(bool((~rest.agrees[kept]).mean() > risk))
        offloaded.append(100 * (1 - kept.mean()))
    return RiskCheck(
        risk=risk,
        guaranteed=len(broken) / SPLITS,
        broken=sum(broken) / SPLITS,
        offloaded=float(np.mean(offloaded)) if offloaded else float("nan"),
    )


@dataclass(frozen=True, kw_only=True)
class ShippedGuarantee:
    """A promise as a bundle ships it, and what comes of it on the test inputs.

    Attributes:
        risk: tolerated.
        disagreement: among test inputs that the device keeps, %.
        offloaded: share of the test inputs, %.
    """

    risk: float
    disagreement: float
    offloaded: float


def shipped(world: SeedModels, split: Split, cascade: CascadeRule) -> list[ShippedGuarantee]:
    """Certify on the held out calibration inputs alone; look at the test inputs."""
    fitted = route_inputs(cascade, split.believed["fitted"], split.fitted)
    held_out = route_inputs(cascade, split.believed["held_out"], split.held_out)
    tested = route_inputs(cascade, split.believed["test"], world.test)
    found = []
    for risk in RISKS:
        point = certify(fitted, held_out, risk=risk)
        if point is None:
            continue
        kept = tested.kept(point.gate_threshold, point.accept_threshold)
        found.append(
            ShippedGuarantee(
                risk=risk,
                disagreement=float(100 * (~tested.agrees[kept]).mean()) if kept.any() else 0.0,
                offloaded=float(100 * (1 - kept.mean())),
            )
        )
    return found


def within_delta() -> float:
    """What share of broken promises is consistent with delta, over so many draws: + 2 s.e."""
    return float(DELTA + 2 * np.sqrt(DELTA * (1 - DELTA) / SPLITS))


def _together(one: RoutedInputs, other: RoutedInputs) -> RoutedInputs:
    gates = [judged.gains.gate for judged in (one, other) if judged.gains.gate is not None]
    return RoutedInputs(
        gains=Gains(
            gate=np.concatenate(gates) if gates else None,
            accept=np.concatenate([one.gains.accept, other.gains.accept]),
        ),
        agrees=np.concatenate([one.agrees, other.agrees]),
    )


def _part(judged: RoutedInputs, chosen: np.ndarray[tuple[int], np.dtype[np.intp]]) -> RoutedInputs:
    return RoutedInputs(gains=judged.gains.part(chosen), agrees=judged.agrees[chosen])
