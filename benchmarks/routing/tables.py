"""The routing benchmark's tables."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.report import ResultTable, mean_sd
from benchmarks.routing.costs import RouterCost, radio_mj, run_mj
from benchmarks.routing.curves import RESAMPLES
from benchmarks.routing.figures import PLACES
from benchmarks.routing.guarantee_tables import guarantee_tables
from benchmarks.routing.misleading_confidence import BY_DEFAULT
from benchmarks.routing.seed_result import FROM, OURS, SeedResult, interval
from nestling_cloud.learning.routing.rivals import RIVALS

ByTask = Mapping[str, Sequence[SeedResult]]
Rows = list[list[str]]
_SHOWN = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5)


def tables(found: ByTask, costs: Mapping[str, Sequence[RouterCost]]) -> list[ResultTable]:
    """All tables, in the order that a reader wants them."""
    made = [
        _accuracies(task, seeds, index, place)
        for task, seeds in found.items()
        for index, place in zip(FROM, PLACES, strict=True)
    ]
    return [
        *made,
        _ahead(found),
        _odd(found),
        _designs(found),
        _cascades(found),
        _costs_of_answers(found),
        _calibration(found),
        *guarantee_tables(found),
        _router_costs(costs),
        _sources(),
    ]


def _accuracies(task: str, seeds: Sequence[SeedResult], index: int, place: str) -> ResultTable:
    rows: Rows = []
    for name in seeds[0].curves:
        curve = [one.accuracy(name, index, share) for share in _SHOWN for one in seeds]
        means = np.array(curve).reshape(len(_SHOWN), -1).mean(axis=1)
        areas = [float(one.curves[name][:, index].mean()) for one in seeds]
        won = np.mean([one.recovered(name, index, 0.2) for one in seeds])
        rows.append(
            [
                name,
                *(f"{value:.2f}" for value in means),
                f"{np.mean(areas):.3f}",
                f"{won:.1f}",
            ]
        )
    device = np.mean([one.device[index] for one in seeds])
    cloud = np.mean([one.cloud for one in seeds])
    return ResultTable(
        title=f"{task}, from the {place} capacity",
        header=[
            "router",
            *(f"{100 * share:.0f} %" for share in _SHOWN),
            "area",
            "gap recovered at 20 %",
        ],
        rows=rows,
        note=f"Accuracy, %, by the share sent to the cloud; the device alone has {device:.2f} %, "
        f"the cloud alone {cloud:.2f} %. Every router has the threshold that sends just that share "
        "of the test inputs. Area is the mean accuracy over shares of 0 to 50 %.",
    )


def _ahead(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        for name in seeds[0].ahead:
            for index, place in zip(FROM, PLACES, strict=True):
                mean, low, high = interval(np.concatenate([s.ahead[name][index] for s in seeds]))
                rows.append([task, place, name, f"{mean:+.3f}", f"{low:+.3f} to {high:+.3f}"])
    return ResultTable(
        title=f"{OURS} against each rival",
        header=["task", "from the capacity", "rival", "area, mean difference", "95 %"],
        rows=rows,
        note="Paired: fitted on the same calibration inputs, judged on the same test inputs, "
        f"which are resampled {RESAMPLES} times, in stretches of 50 windows where they are "
        "people's. The middle 95 % of resamples, over the "
        "seeds' models; a difference is the mean over the router's draws.",
    )


def _odd(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        for condition in seeds[0].odd:
            for index, place in zip(FROM, PLACES, strict=True):
                draws = [draw for one in seeds for draw in one.odd[condition]]
                areas = {
                    name: float(np.mean([draw.areas[name][index] for draw in draws]))
                    for name in draws[0].areas
                }
                device = float(np.mean([draw.device[index] for draw in draws]))
                cloud = float(np.mean([draw.cloud for draw in draws]))
                rows.append(
                    [
                        task,
                        condition,
                        place,
                        f"{device:.2f}",
                        f"{cloud:.2f}",
                        *(f"{value:.2f}" for value in areas.values()),
                    ]
                )
    names = next(iter(found.values()))[0].odd["as it is"][0].areas
    return ResultTable(
        title="Where confidence misleads",
        header=["task", "condition", "from the capacity", "device alone", "cloud alone", *names],
        rows=rows,
        note="Area under accuracy against the share that is sent, 0 to 50 %, as above. The "
        "conditions are those of Jitkrittum et al. 2023: a cloud that does not know the second "
        "half of the classes, and labels of the first half of the classes of which half say any "
        "class; both while routers are fitted and on the test inputs. "
        f"*{BY_DEFAULT}* looks at no classes and learns from labels and teacher by halves, "
        "whatever the calibration inputs are like.",
    )


def _designs(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        for condition in seeds[0].odd:
            drawn = [draw.design for one in seeds for draw in one.odd[condition]]
            rows.append(
                [
                    task,
                    condition,
                    f"{sum(one.knows_classes for one in drawn)} of {len(drawn)}",
                    f"{sum(one.label_part == 1 for one in drawn)} of {len(drawn)}",
                ]
            )
    return ResultTable(
        title="What the multiplexer looks at",
        header=["task", "condition", "looks at classes", "learns from labels alone"],
        rows=rows,
        note="Chosen for each draw on the inputs that it is fitted on: a half judges the other.",
    )


def _cascades(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        for one in seeds:
            for cascade in (cascade for way in one.larger_share.values() for cascade in way):
                rows.append(
                    [
                        task,
                        str(one.world.seed),
                        str(cascade.top),
                        str(cascade.start),
                        f"{cascade.larger_share:.1f}",
                        f"{cascade.macs:.2f}",
                        f"{cascade.alone:.2f}",
                        f"{one.device[cascade.top - 1]:.2f}",
                        *(f"{cascade.at(share):.2f}" for share in (0.1, 0.2, 0.3)),
                        f"{cascade.energy_saving:+.1f}",
                    ]
                )
    return ResultTable(
        title="The cascades to the second and to the largest capacity",
        header=[
            "task",
            "seed",
            "up to",
            "runs first",
            "runs the larger one %",
            "device compute / at once",
            "alone %",
            "at once, alone %",
            *(f"{share} % to the cloud" for share in (10, 20, 30)),
            "energy, %",
        ],
        rows=rows,
        note="A device that holds more of the nest runs a small capacity first, and the larger "
        "one where that is believed to be worth its run. One row for each router. Energy is "
        "that of device and radio against the best confidence rule's, which runs the larger "
        "capacity at once and sends 20 %, at its accuracy.",
    )


def _costs_of_answers(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        for index in FROM:
            for share in (0.0, *_SHOWN):
                one = seeds[0]
                cloud = share * one.world.macs[-1] / 1e6
                device = one.world.macs[index] / 1e6
                energy = run_mj(one.world, index + 1) + share * radio_mj(one.world)
                accuracy = np.mean([s.accuracy(OURS, index, share) for s in seeds])
                rows.append(
                    [
                        task,
                        str(index + 1),
                        f"{100 * share:.0f}",
                        f"{accuracy:.2f}",
                        f"{device:.3f}",
                        f"{cloud:.2f}",
                        f"{energy:.2f}",
                    ]
                )
    return ResultTable(
        title="What an answer takes",
        header=[
            "task",
            "capacity",
            "offloaded %",
            f"{OURS} %",
            "device, million MACs",
            "cloud, million MACs",
            "device and radio, mJ",
        ],
        rows=rows,
        note="Means over inputs, of students, cloud and radio without the router: the same for "
        "every router that sends that share. Energy is modelled: a Pi 4B on Wi-Fi, by its profile.",
    )


def _calibration(found: ByTask) -> ResultTable:
    rows: Rows = []
    for task, seeds in found.items():
        for name in seeds[0].errors:
            rows.append([task, name, mean_sd(one.errors[name] for one in seeds)])
    return ResultTable(
        title="Are the probabilities what they say?",
        header=["task", "probability of being right", "expected calibration error, points"],
        rows=rows,
        note="On test inputs, ten equally filled bins, of the first draw's router.",
    )


def _router_costs(costs: Mapping[str, Sequence[RouterCost]]) -> ResultTable:
    rows: Rows = []
    for task, seeds in costs.items():
        for place, name in enumerate(("smallest capacity and multiplexer", "by itself")):
            rows.append(
                [
                    task,
                    name,
                    mean_sd(one.microseconds[place] for one in seeds),
                    f"{seeds[0].size[place] / 1000:.1f}",
                ]
            )
    return ResultTable(
        title="What routing itself takes",
        header=["task", "network", "p50 µs", "kB"],
        rows=rows,
        note="Timed in turns on one thread. Bytes are those of template and weights.",
    )


def _sources() -> ResultTable:
    return ResultTable(
        title="Where the rivals come from",
        header=["router", "definition"],
        rows=[[rival.name, rival.source] for rival in RIVALS],
    )
