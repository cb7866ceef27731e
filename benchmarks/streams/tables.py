"""Builds the stream benchmark's tables."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.report import ResultTable, mean_sd, result_table
from benchmarks.streams.curves import (
    CLOUD_FILTERED,
    FILTERED,
    OURS,
    SHARES,
    at_share,
    passing_share,
)
from benchmarks.streams.few_inputs import DRAWS, SIZES, key_of
from benchmarks.streams.figures import SHARE, STARTS, feedback_gain, gain
from benchmarks.streams.picture_result import PictureResult
from benchmarks.streams.split_result import CUTS, TARGETS, WHOLE, SplitResult

DEVICE, CLOUD = "device alone", "cloud alone"
_SHOWN = (0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
_DEVICES = ("smallest", "largest", "cascade")
_PARAMETERS = ("stay", "reread", "misread", "weight")


def tables(splits: Sequence[SplitResult], pictures: Sequence[PictureResult]) -> list[ResultTable]:
    """Return all tables in the order of the page.

    Args:
        splits: the results of all subject splits.
        pictures: the results of all seeds on pictures.
    """
    return [
        *(_curves(splits, start) for start in STARTS),
        *(_by_split(splits, start) for start in STARTS),
        _cuts(splits),
        _few(splits),
        _targets(splits),
        _alternatives(splits),
        _filters(splits),
        *(_bursts(pictures, start) for start in STARTS),
    ]


def _curves(splits: Sequence[SplitResult], start: str) -> ResultTable:
    curves = [split.curves[WHOLE][start] for split in splits]
    index = 0 if start == "smallest" else -2
    device = [split.accuracies[index] for split in splits]
    rows = _mean_rows(curves, device, [split.cloud for split in splits])
    return result_table(
        f"wearable, from the {start} capacity",
        _curve_header(),
        rows,
        "Accuracy, %, by the share sent to the cloud; means over splits.",
    )


def _curve_header() -> str:
    return "router | " + " | ".join(f"{100 * share:.0f} %" for share in _SHOWN)


def _mean_rows(
    curves: Sequence[Mapping[str, list[float]]], device: Sequence[float], cloud: Sequence[float]
) -> list[list[str]]:
    """Return the rows of a table of curves: of all routers, of the device, and of the cloud.

    Routers that some of the results lack are left out.

    Args:
        curves: for each result, the accuracies of each router at `SHARES`, %.
        device: the accuracy of the device alone for each result, %.
        cloud: the accuracy of the cloud alone for each result, %.
    """
    names = [name for name in curves[0] if all(name in one for one in curves)]
    rows = [[name, *(_mean_at(curves, name, share) for share in _SHOWN)] for name in names]
    for name, values in ((DEVICE, device), (CLOUD, cloud)):
        rows.append([name, *[f"{np.mean(values):.2f}"] * len(_SHOWN)])
    return rows


def _mean_at(curves: Sequence[Mapping[str, list[float]]], name: str, share: float) -> str:
    return f"{np.mean([at_share(one[name], share) for one in curves]):.2f}"


def _by_split(splits: Sequence[SplitResult], start: str) -> ResultTable:
    index = 0 if start == "smallest" else -2
    rows = []
    for split in splits:
        curves = split.curves[WHOLE][start]
        filtered = curves.get("max-softmax" + FILTERED)
        rows.append(
            [
                str(split.seed),
                f"{split.accuracies[index]:.2f}",
                f"{curves[OURS][0]:.2f}",
                f"{split.cloud:.2f}",
                f"{curves[CLOUD_FILTERED][0]:.2f}",
                f"{at_share(curves[OURS], SHARE):.2f}",
                f"{at_share(curves['max-softmax'], SHARE):.2f}",
                f"{at_share(filtered, SHARE):.2f}" if filtered else "",
                f"{at_share(curves['margin'], SHARE):.2f}",
                f"{gain(split, WHOLE, start):+.2f}",
                *(
                    _share(passing_share(curves[name], split.cloud))
                    for name in (OURS, "max-softmax")
                ),
                _share(passing_share(curves[OURS], curves[CLOUD_FILTERED][0])),
            ]
        )
    return result_table(
        f"Splits, from the {start} capacity",
        f"seed | device | device{FILTERED} | cloud | {CLOUD_FILTERED} | {OURS} at 10 % | "
        f"max-softmax at 10 % | max-softmax{FILTERED} at 10 % | margin at 10 % | "
        f"{OURS} minus max-softmax | {OURS} passes the cloud alone at | max-softmax passes it at | "
        f"{OURS} passes the {CLOUD_FILTERED}, at",
        rows,
        "Accuracy of the test people, %. A router passes at the smallest share at which its "
        "accuracy is above the cloud's, in steps of 0.5 % up to 20 %.",
    )


def _share(share: float) -> str:
    return f"{100 * share:.1f} %" if share < SHARES[-1] else "never"


def _cuts(splits: Sequence[SplitResult]) -> ResultTable:
    rows = [
        [
            cut,
            start,
            *(f"{gain(split, cut, start):+.2f}" for split in splits),
            f"{np.mean([gain(split, cut, start) for split in splits]):+.2f}",
        ]
        for cut in (WHOLE, *CUTS)
        for start in STARTS
    ]
    return result_table(
        f"{OURS} minus max-softmax at 10 %, by the length of recordings",
        "recordings | from the | " + " | ".join(str(split.seed) for split in splits) + " | mean",
        rows,
        "In points, by seed. *in quarters*: every recording (calibration and test) is cut into "
        "four, which are dealt like recordings of their own, so that answers change four times as "
        "often. *first quarter*: only the first of them is kept, also for fitting.",
    )


def _few(splits: Sequence[SplitResult]) -> ResultTable:
    rows = []
    for kind in DRAWS:
        for size in SIZES:
            for start in STARTS:
                by_split = [split.few[key_of(kind, size, start)] for split in splits]
                means = [float(np.mean(one)) for one in by_split]
                worst = min(min(one) for one in by_split)
                rows.append(
                    [
                        *(kind, str(size), start, mean_sd(means, sign=True)),
                        *(f"{min(means):+.2f}", f"{worst:+.2f}"),
                    ]
                )
    return result_table(
        f"Few calibration inputs: {OURS} minus max-softmax at 10 %",
        "drawn | inputs | from the | mean | worst split | worst draw",
        rows,
        "In points. Recordings of the two calibration people are drawn at random, whole or only "
        "their first ten windows; the last one is cut to meet the number. 60 % are fitted on.",
    )


def _targets(splits: Sequence[SplitResult]) -> ResultTable:
    rows = []
    for split in splits:
        for device in _DEVICES:
            cells = []
            for target in TARGETS:
                runs = split.device_runs[device][str(target)]
                cells += [
                    f"{max(run['deviation'] for run in runs):.1f}",
                    f"{np.mean([run['share'] for run in runs]):.1f}",
                    f"{np.mean([run['accuracy'] for run in runs]):.2f}",
                ]
            useful = f"{100 * split.useful_shares[device]:.0f}"
            rows.append([str(split.seed), device, useful, *cells])
    names = (f"off {100 * target:.0f} %, worst window | share | accuracy" for target in TARGETS)
    return result_table(
        "Targets kept on the test people",
        "seed | capacity | share that pays, % | " + " | ".join(names),
        rows,
        "A device's classes answer all test recordings as one stream, in four orders, with the "
        "window of 500 that is the default and thresholds from calibration. The worst window is "
        "that of all orders. *cascade*: as a device runs that holds all capacities. Where the "
        "cloud is less accurate than the device on calibration inputs, a device sends no more than "
        "the share that pays, whatever the target.",
    )


def _alternatives(splits: Sequence[SplitResult]) -> ResultTable:
    rows = []
    for split in splits:
        for start in STARTS:
            if start not in split.skipping:
                continue
            skipping, ahead = split.skipping[start], split.look_ahead[start]
            rows.append(
                [
                    str(split.seed),
                    start,
                    f"{skipping['threshold']:.3f}" if skipping["threshold"] <= 1 else "never",
                    f"{skipping['skipped']:.1f}",
                    f"{skipping['lost']:+.2f}",
                    f"{ahead['weight']:g}",
                    f"{ahead['gained']:+.2f}",
                    f"{feedback_gain(split, start):+.2f}",
                ]
            )
    return result_table(
        "Skipping, looking ahead, feedback",
        "seed | from the | skips above | skipped, % | lost | weight of looking ahead | gained | "
        "gained by feedback",
        rows,
        "At 10 %. Skipping: no capacity runs where the belief, predicted from the inputs before, "
        "is surer than a threshold with which fitted inputs lose at most 0.2 points; devices do "
        "not do it. Looking ahead: the doubt before an input is seen, times a weight that is best "
        "on fitted inputs, makes asking more urgent; devices do not do it either. "
        "Feedback: a device whose confidence is corrected by the cloud's answers, against one "
        "without.",
    )


def _filters(splits: Sequence[SplitResult]) -> ResultTable:
    rows = [
        [
            str(split.seed),
            cut,
            start,
            *(f"{split.filters[cut][start][name]:.2f}" for name in _PARAMETERS),
            split.design.removeprefix("Design(").removesuffix(")") if cut == WHOLE else "",
        ]
        for split in splits
        for cut in split.filters
        for start in split.filters[cut]
    ]
    return result_table(
        "Fitted filters",
        "seed | recordings | from the | " + " | ".join(_PARAMETERS) + " | design of the router",
        rows,
    )


def _bursts(pictures: Sequence[PictureResult], start: str) -> ResultTable:
    index = 0 if start == "smallest" else -2
    rows = _mean_rows(
        [one.bursts[start] for one in pictures],
        [one.accuracies[index] for one in pictures],
        [one.accuracies[-1] for one in pictures],
    )
    return result_table(
        f"Pictures in bursts, from the {start} capacity",
        _curve_header(),
        rows,
        "Accuracy, %, by the share sent to the cloud; means over seeds.",
    )
