"""Builds the tables of the routing benchmark."""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from benchmarks.report import ResultTable, mean_sd, result_table
from benchmarks.routing.costs import RouterCost, radio_mj, run_mj
from benchmarks.routing.curves import OURS, RESAMPLES
from benchmarks.routing.drift_tables import drift_tables
from benchmarks.routing.misleading_confidence import DEFAULT_DESIGN
from benchmarks.routing.seed_result import STARTS, ByTask, SeedResult, by_key, interval
from nestling_cloud.learning.routing.rivals import RIVALS

_SHOWN_SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5)


def tables(by_task: ByTask, costs: Mapping[str, Sequence[RouterCost]]) -> list[ResultTable]:
    """Return all tables in the order of the page.

    Args:
        by_task: a mapping from task to the results of its seeds.
        costs: a mapping from task to the multiplexer's cost for each seed.
    """
    return [
        *(
            _accuracies(task, results, start, index)
            for task, results in by_task.items()
            for start, index in STARTS.items()
        ),
        _area_differences(by_task),
        _conditions(by_task),
        _designs(by_task),
        _cascades(by_task),
        _answer_costs(by_task),
        _calibration(by_task),
        *drift_tables(by_task),
        _router_costs(costs),
        result_table(
            "Sources of the rivals",
            "router | definition",
            [[rival.name, rival.source] for rival in RIVALS],
        ),
    ]


def _accuracies(task: str, results: Sequence[SeedResult], start: str, index: int) -> ResultTable:
    rows: list[list[str]] = []
    for name in results[0].curves:
        by_share = [[r.accuracy(name, index, share) for r in results] for share in _SHOWN_SHARES]
        area = np.mean([float(result.curves[name][:, index].mean()) for result in results])
        recovered = np.mean([r.recovered(r.accuracy(name, index, 0.2), index) for r in results])
        cells = [*(f"{np.mean(accuracies):.2f}" for accuracies in by_share), f"{area:.3f}"]
        rows.append([name, *cells, f"{recovered:.1f}"])
    device = np.mean([result.device[index] for result in results])
    cloud = np.mean([result.cloud for result in results])
    shares = " | ".join(f"{100 * share:.0f} %" for share in _SHOWN_SHARES)
    return result_table(
        f"{task}, from the {start} capacity",
        f"router | {shares} | area | gap recovered at 20 %",
        rows,
        f"Accuracy, %, by the share sent to the cloud; the device alone has {device:.2f} %, "
        f"the cloud alone {cloud:.2f} %. Every router has the threshold that sends exactly that "
        "share of the test inputs. Area is the mean accuracy over shares of 0 to 50 %.",
    )


def _area_differences(by_task: ByTask) -> ResultTable:
    rows: list[list[str]] = []
    for task, name, by_seed in by_key(by_task, lambda result: result.area_differences):
        for start, differences in zip(STARTS, zip(*by_seed, strict=True), strict=True):
            mean, low, high = interval(differences)
            rows.append([task, start, name, f"{mean:+.3f}", f"{low:+.3f} to {high:+.3f}"])
    return result_table(
        f"{OURS} against each rival",
        "task | from the capacity | rival | area, mean difference | 95 %",
        rows,
        "Paired: fitted on the same calibration inputs, tested on the same test inputs, which are "
        f"resampled {RESAMPLES} times, in blocks of 50 windows where they are people's. The middle "
        "95 % of resamples, over the seeds' models; a difference is the mean over the router's "
        "draws.",
    )


def _conditions(by_task: ByTask) -> ResultTable:
    rows: list[list[str]] = []
    for task, condition, by_seed in by_key(by_task, lambda result: result.conditions):
        draws = list(chain.from_iterable(by_seed))
        for start, index in STARTS.items():
            columns = [
                [draw.device[index] for draw in draws],
                [draw.cloud for draw in draws],
                *([draw.areas[name][index] for draw in draws] for name in draws[0].areas),
            ]
            rows.append([task, condition, start, *(f"{np.mean(column):.2f}" for column in columns)])
    names = next(iter(by_task.values()))[0].conditions["unchanged"][0].areas
    return result_table(
        "Where confidence misleads",
        "task | condition | from the capacity | device alone | cloud alone | " + " | ".join(names),
        rows,
        "Area under accuracy against the share that is sent, 0 to 50 %, as above. The conditions "
        "follow Jitkrittum et al. 2023: a cloud that does not know the second half of the classes, "
        "and labels of the first half of the classes, half of which are random. Both hold while "
        f"routers are fitted and on the test inputs. *{DEFAULT_DESIGN}* does not look at the "
        "classes, and learns from the mean of labels and teacher, whatever the calibration inputs.",
    )


def _designs(by_task: ByTask) -> ResultTable:
    rows: list[list[str]] = []
    for task, condition, by_seed in by_key(by_task, lambda result: result.conditions):
        designs = [draw.design for draws in by_seed for draw in draws]
        counts = (
            sum(design.knows_classes for design in designs),
            sum(design.label_part == 1 for design in designs),
        )
        rows.append([task, condition, *(f"{count} of {len(designs)}" for count in counts)])
    return result_table(
        "What the multiplexer looks at",
        "task | condition | looks at classes | learns from labels alone",
        rows,
        "The design is chosen for each draw on the inputs that the router is fitted on: one half "
        "tests what the other half fits.",
    )


def _cascades(by_task: ByTask) -> ResultTable:
    rows = [
        [
            *(task, str(result.models.seed), str(cascade.top), str(cascade.start)),
            *(f"{cascade.larger_share:.1f}", f"{cascade.macs:.2f}", f"{cascade.alone:.2f}"),
            f"{result.device[cascade.top - 1]:.2f}",
            *(f"{cascade.at(share):.2f}" for share in (0.1, 0.2, 0.3)),
            f"{cascade.energy_saving:+.1f}",
        ]
        for task, results in by_task.items()
        for result in results
        for cascade in chain.from_iterable(result.cascades.values())
    ]
    return result_table(
        "The cascades to the second and to the largest capacity",
        "task | seed | up to | runs first | runs the larger one % | device compute / at once | "
        "alone % | at once, alone % | 10 % to the cloud | 20 % to the cloud | 30 % to the cloud | "
        "energy, %",
        rows,
        "A device that holds more of the nest runs a small capacity first, and the larger one "
        "where the predicted gain pays for its run. One row for each router. Energy is that of "
        "device and radio relative to the best confidence rule, which runs the larger capacity at "
        "once and sends 20 %, at equal accuracy.",
    )


def _answer_costs(by_task: ByTask) -> ResultTable:
    rows: list[list[str]] = []
    for task, results in by_task.items():
        models = results[0].models
        for index in STARTS.values():
            for share in (0.0, *_SHOWN_SHARES):
                accuracy = np.mean([result.accuracy(OURS, index, share) for result in results])
                energy_mj = run_mj(models, index + 1) + share * radio_mj(models)
                rows.append(
                    [
                        *(task, str(index + 1), f"{100 * share:.0f}", f"{accuracy:.2f}"),
                        f"{models.macs[index] / 1e6:.3f}",
                        f"{share * models.macs[-1] / 1e6:.2f}",
                        f"{energy_mj:.2f}",
                    ]
                )
    return result_table(
        "Cost of an answer",
        f"task | capacity | offloaded % | {OURS} % | device, million MACs | "
        "cloud, million MACs | device and radio, mJ",
        rows,
        "Means over inputs, of students, cloud and radio without the router: the same for every "
        "router that sends that share. Energy is modelled: a Pi 4B on Wi-Fi, by its profile.",
    )


def _calibration(by_task: ByTask) -> ResultTable:
    return result_table(
        "Calibration of the predicted probabilities",
        "task | probability of being right | expected calibration error, points",
        [
            [task, name, mean_sd(errors)]
            for task, name, errors in by_key(by_task, lambda result: result.calibration_errors)
        ],
        "On test inputs, in ten equally filled bins, for the first draw's router.",
    )


def _router_costs(costs: Mapping[str, Sequence[RouterCost]]) -> ResultTable:
    return result_table(
        "Cost of routing",
        "task | network | p50 µs | kB",
        [
            [
                *(task, name, mean_sd(cost.microseconds[place] for cost in by_seed)),
                f"{by_seed[0].size[place] / 1000:.1f}",
            ]
            for task, by_seed in costs.items()
            for place, name in enumerate(
                ("smallest capacity and multiplexer", "smallest capacity alone")
            )
        ],
        "Timed alternately on one thread. Bytes are those of template and weights.",
    )
