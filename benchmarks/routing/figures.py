"""The routing benchmark's figures with their goals."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.report import Figure, figure
from benchmarks.routing.cascade import CascadeResult
from benchmarks.routing.costs import RouterCost
from benchmarks.routing.guarantee import SPLITS, within_delta
from benchmarks.routing.seed_result import FROM, OURS, UP, SeedResult, interval
from nestling_cloud.learning.routing import DELTA

PLACES = ("smallest", "second")
_GOALS = (95, 100)
BEATEN = {
    "max-softmax": "max-softmax",
    "entropy": "entropy",
    "margin": "margin",
    "Sedna's": "Sedna cross entropy",
    "AppealNet-style": "AppealNet head",
}
_OPERATING_SHARE = 0.3


def figures(
    found: Mapping[str, Sequence[SeedResult]],
    costs: Mapping[str, Sequence[RouterCost]],
    minutes: float,
) -> dict[str, Figure]:
    """Figures of `fashion`, and the same names with `wearable` for the other task.

    Args:
        found: of every seed.
        costs: of every seed's multiplexer.
        minutes: that all of it took, models and routers.
    """
    made: dict[str, Figure] = {}
    for task, seeds in found.items():
        made |= {f"{task}: {key}": one for key, one in _figures(seeds, costs[task]).items()}
    made["this benchmark, all in all"] = figure(
        [minutes], "min", goal="<= 90", anchor="with the models that it takes from the learning's"
    )
    return made


def _figures(seeds: Sequence[SeedResult], costs: Sequence[RouterCost]) -> dict[str, Figure]:
    places = list(zip(FROM, PLACES, strict=True))
    made: dict[str, Figure] = {}
    for (index, place), goal in zip(places, _GOALS, strict=True):
        made[f"gap recovered at 20 %, from the {place}"] = _recovered(seeds, index, goal)
    for index, place in places:
        made[f"accuracy at 30 % minus the cloud's, from the {place}"] = figure(
            [one.accuracy(OURS, index, 0.3) - one.cloud for one in seeds], "points", goal="> 0"
        )
    for name, rival in BEATEN.items():
        for index, place in places:
            made[f"area over {name}, from the {place}: lower end"] = _ahead(seeds, rival, index)
    made["gain over the device alone at 30 %, from the smallest"] = _gain(seeds)
    for index, place in places:
        made[f"cloud compute saved at the cloud's accuracy, from the {place}"] = figure(
            [
                _mean(one.cloud_savings[:, index].tolist())
                for one in seeds
                if one.device[index] < one.cloud
            ],
            "times",
            goal=">= 4",
            anchor="arXiv 2001.05870: 2.85",
        )
    for index, place in places:
        made[f"energy against the best confidence rule, from the {place}"] = figure(
            [float(one.energy_savings[:, index].mean()) for one in seeds], "%", goal="<= -20"
        )
    if not seeds[0].world.has_people:  # draws of people's windows are no draws of people
        made["guarantees broken, the worst risk"] = _broken(seeds, PLACES)
    made |= _cost(costs)
    for place in PLACES:
        made[f"share under drift, worst window of 500, from the {place}"] = _drift(seeds, place)
    return made | _cascade_figures(seeds)


def _cascade_figures(seeds: Sequence[SeedResult]) -> dict[str, Figure]:
    """The same questions where the device holds the whole nest, or two capacities, and climbs."""
    made = {
        "gap recovered at 20 %, the whole nest on the device, in a cascade": figure(
            [_mean([_won(one, cascade.at(0.2)) for cascade in _largest(one)]) for one in seeds],
            "%",
            anchor="gap from the smallest to the cloud; max-softmax from the largest at once "
            f"{_mean([_won(one, one.accuracy('max-softmax', -1, 0.2)) for one in seeds]):.1f}",
        ),
        "accuracy at 30 % minus the cloud's, in a cascade": figure(
            [_mean([cascade.at(0.3) - one.cloud for cascade in _largest(one)]) for one in seeds],
            "points",
        ),
        "device compute in a cascade / the largest at once": figure(
            [_mean([cascade.macs for cascade in _largest(one)]) for one in seeds], ""
        ),
        "cloud compute saved at the cloud's accuracy, in a cascade": figure(
            [
                _mean(
                    [cascade.cloud_saving for cascade in _largest(one) if cascade.alone < one.cloud]
                )
                for one in seeds
                if any(cascade.alone < one.cloud for cascade in _largest(one))
            ],
            "times",
        ),
    }
    for place in ("second", "largest"):
        made[f"energy against the best confidence rule, on the cascade to the {place}"] = figure(
            [
                _mean([cascade.energy_saving for cascade in one.larger_share[place]])
                for one in seeds
            ],
            "%",
            goal="<= -20",
            anchor=f"the rule runs the {place} capacity at once",
        )
    if not seeds[0].world.has_people:
        made["guarantees broken, the worst risk, in a cascade"] = _broken(seeds, (UP,))
    made["share under drift, worst window of 500, in a cascade"] = _drift(seeds, UP)
    return made


def _largest(one: SeedResult) -> Sequence[CascadeResult]:
    return one.larger_share["largest"]


def _won(one: SeedResult, accuracy: float) -> float:
    device = float(one.device[0])
    return 100 * (accuracy - device) / (one.cloud - device)


def _recovered(seeds: Sequence[SeedResult], index: int, goal: int) -> Figure:
    softmax = _mean([one.recovered("max-softmax", index, 0.2) for one in seeds])
    return figure(
        [one.recovered(OURS, index, 0.2) for one in seeds],
        "%",
        goal=f">= {goal}",
        anchor=f"max-softmax {softmax:.1f}",
    )


def _gain(seeds: Sequence[SeedResult]) -> Figure:
    most = _mean([one.cloud - float(one.device[0]) for one in seeds])
    return figure(
        [one.accuracy(OURS, 0, _OPERATING_SHARE) - float(one.device[0]) for one in seeds],
        "points",
        goal=">= 8.5",
        anchor=f"the cloud alone gains {most:.2f}; arXiv 2001.05870: 8.52",
    )


def _broken(seeds: Sequence[SeedResult], ways: Sequence[str]) -> Figure:
    return figure(
        [max(kept.broken for way in ways for kept in one.kept[way]) for one in seeds],
        "",
        goal=f"<= {DELTA}",
        anchor=f"of {SPLITS} draws; up to {within_delta():.3f} is within two standard errors",
    )


def _drift(seeds: Sequence[SeedResult], way: str) -> Figure:
    static = _mean([one.drifted[way][1].worst for one in seeds])
    return figure(
        [one.drifted[way][0].worst for one in seeds],
        "points",
        goal="<= 2",
        anchor=f"thresholds as they are: {static:.1f}",
    )


def _ahead(seeds: Sequence[SeedResult], rival: str, index: int) -> Figure:
    mean, low, high = interval(np.concatenate([one.ahead[rival][index] for one in seeds]))
    return figure([low], "points", goal="> 0", anchor=f"mean {mean:+.3f}, up to {high:+.3f}")


def _cost(costs: Sequence[RouterCost]) -> dict[str, Figure]:
    return {
        "multiplexer's latency / the smallest capacity's": figure(
            [cost.latency for cost in costs], "", goal="<= 0.25"
        ),
        "multiplexer's bytes / the smallest capacity's": figure(
            [cost.bytes for cost in costs], "", goal="<= 0.25"
        ),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
