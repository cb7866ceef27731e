"""Computes the stream benchmark's figures, with their goals."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.report import Figure, figure
from benchmarks.streams.curves import CLOUD_FILTERED, FILTERED, OURS, at_share, passing_share
from benchmarks.streams.few_inputs import DRAWS, SIZES, key_of
from benchmarks.streams.picture_result import ORDERS, PictureResult
from benchmarks.streams.split_result import CUTS, TARGETS, WHOLE, SplitResult
from benchmarks.streams.step_cost import StepCost

SHARE = 0.1
"""The offload share at which routers are compared."""
STARTS = ("smallest", "largest")
_DEVICES = ("smallest", "cascade")
# Goals for the gain over max-softmax, mean over splits; in the worst split, it is more than 0.
_GOALS = {
    (WHOLE, "smallest"): ">= 2.5",
    (WHOLE, "largest"): ">= 1.2",
    **{(name, "smallest"): ">= 1" for name in CUTS},
}
_PASSING = {"smallest": "<= 8", "largest": "<= 6"}
_NAMES = {WHOLE: "", **{name: f", recordings: {name}" for name in CUTS}}


def figures(
    splits: Sequence[SplitResult],
    pictures: Sequence[PictureResult],
    costs: Mapping[int, StepCost],
    minutes: float,
) -> dict[str, Figure]:
    """Return all figures.

    Args:
        splits: the results of all subject splits.
        pictures: the results of all seeds on pictures.
        costs: a mapping from the number of classes to the cost of the filter.
        minutes: the total time for models and results, minutes.
    """
    return {
        **_gains(splits),
        **_passing(splits),
        **_few(splits),
        **_targets(splits),
        **_pictures(pictures),
        **_costs(costs),
        **_alternatives(splits),
        **_feedback(splits),
        "benchmark, total time": figure([minutes], "min", goal="<= 60", anchor="on two cores"),
    }


def gain(result: SplitResult, cut: str, start: str, rival: str = "max-softmax") -> float:
    """Return our accuracy minus a rival's, both at an offload share of 10 %, in points.

    Args:
        result: the result of a split.
        cut: how recordings are cut, a key of the result's curves.
        start: the capacity that runs, "smallest" or "largest".
        rival: the name of the rival.
    """
    curves = result.curves[cut][start]
    return at_share(curves[OURS], SHARE) - at_share(curves[rival], SHARE)


def _gains(splits: Sequence[SplitResult]) -> dict[str, Figure]:
    found = {}
    for cut, name in _NAMES.items():
        for start in STARTS:
            gains = [gain(split, cut, start) for split in splits]
            goal = _GOALS.get((cut, start))
            filtered = [
                gain(split, cut, start, "max-softmax" + FILTERED)
                for split in splits
                if "max-softmax" + FILTERED in split.curves[cut][start]
            ]
            what = f"gain over max-softmax at 10 %, from the {start}{name}"
            anchor = f"over it behind the same filter {np.mean(filtered):+.2f}" if filtered else ""
            found[what] = figure(gains, "points", goal=goal, anchor=anchor)
            found[f"{what}, worst split"] = figure(
                [min(gains)], "points", goal="> 0" if goal else None
            )
    return found


def _passing(splits: Sequence[SplitResult]) -> dict[str, Figure]:
    found = {}
    for start in STARTS:
        shares = [100 * passing_share(s.curves[WHOLE][start][OURS], s.cloud) for s in splits]
        rival = np.mean(
            [100 * passing_share(s.curves[WHOLE][start]["max-softmax"], s.cloud) for s in splits]
        )
        found[f"share from which device and cloud pass the cloud alone, from the {start}"] = figure(
            shares, "%", goal=_PASSING[start], anchor=f"max-softmax {rival:.1f}"
        )
        found[f"gain at 10 % over the cloud alone, behind a filter, from the {start}"] = figure(
            [gain(split, WHOLE, start, CLOUD_FILTERED) for split in splits], "points"
        )
    return found


def _few(splits: Sequence[SplitResult]) -> dict[str, Figure]:
    keys = [key_of(kind, size, start) for kind in DRAWS for size in SIZES for start in STARTS]
    return {
        f"gain over max-softmax at 10 %, {key}": figure(
            [float(np.mean(split.few[key])) for split in splits], "points", goal=">= -0.2"
        )
        for key in keys
    }


def _targets(splits: Sequence[SplitResult]) -> dict[str, Figure]:
    found = {}
    for device in _DEVICES:
        for target in TARGETS:
            worst = [
                max(run["deviation"] for run in split.device_runs[device][str(target)])
                for split in splits
                if split.useful_shares[device] >= target
            ]
            capped = len(splits) - len(worst)
            name = f"share off the target of {100 * target:.0f} %, worst window of 500, {device}"
            anchor = f"worst split {max(worst):.2f}" if worst else ""
            if capped:
                anchor += f"; without {capped} splits whose cloud is worse than the device"
            if worst:
                found[name] = figure([max(worst)], "points", goal="<= 3", anchor=anchor)
    return found


def _pictures(pictures: Sequence[PictureResult]) -> dict[str, Figure]:
    found = {}
    for start in STARTS:
        found[f"independent pictures: area gained by the filter, from the {start}"] = figure(
            [float(np.mean(one.area_differences[start])) for one in pictures],
            "points",
            goal=">= -0.02",
            anchor=f"in {ORDERS} orders, cut into recordings of 50",
        )
    found["independent pictures: filters fitted"] = figure(
        [one.plain_filters + one.filters for one in pictures],
        goal="== 0",
        anchor=f"of {2 * (1 + ORDERS)}",
    )
    for start in STARTS:
        found[f"pictures in bursts: gain over max-softmax at 10 %, from the {start}"] = figure(
            [
                at_share(one.bursts[start][OURS], SHARE)
                - at_share(one.bursts[start]["max-softmax"], SHARE)
                for one in pictures
            ],
            "points",
        )
    return found


def _costs(costs: Mapping[int, StepCost]) -> dict[str, Figure]:
    found = {}
    for classes, cost in costs.items():
        found[f"one step of the filter, {classes} classes"] = figure(
            [cost.microseconds], "µs", goal="<= 20", anchor="median"
        )
        found[f"state of the filter, {classes} classes"] = figure(
            [cost.bytes], "bytes", goal="<= 1000"
        )
    return found


def _alternatives(splits: Sequence[SplitResult]) -> dict[str, Figure]:
    found = {}
    for start in STARTS:
        skipping = [s.skipping[start] for s in splits if start in s.skipping]
        ahead = [s.look_ahead[start]["gained"] for s in splits if start in s.look_ahead]
        if skipping:
            lost = np.mean([one["lost"] for one in skipping])
            found[f"skip: share of inputs for which nothing runs, from the {start}"] = figure(
                [one["skipped"] for one in skipping], "%", anchor=f"loses {lost:+.2f} points"
            )
        if ahead:
            found[f"looking ahead: gained at 10 %, from the {start}"] = figure(ahead, "points")
    return found


def _feedback(splits: Sequence[SplitResult]) -> dict[str, Figure]:
    found = {}
    for device in _DEVICES:
        found[f"feedback: gained at 10 %, {device}"] = figure(
            [feedback_gain(split, device) for split in splits], "points"
        )
        corrected, uncorrected = (
            [mean[kind] for mean in (_means(split, device, "overconfidence") for split in splits)]
            for kind in (0, 1)
        )
        found[f"confidence minus accuracy of the device's own answers, {device}"] = figure(
            corrected, "points", anchor=f"without feedback {np.mean(uncorrected):+.2f}"
        )
    return found


def feedback_gain(split: SplitResult, device: str) -> float:
    """Return how much accuracy a device gains by correcting its confidence, in points.

    The device learns the corrections from the cloud's answers, at a target share of 10 %.

    Args:
        split: the result of a split.
        device: "smallest", "largest" or "cascade".
    """
    corrected, uncorrected = _means(split, device, "accuracy")
    return corrected - uncorrected


def _means(split: SplitResult, device: str, name: str) -> tuple[float, float]:
    """Return the mean of a result over runs at 10 %, with and without feedback."""
    corrected, uncorrected = (
        float(np.mean([run[name] for run in runs]))
        for runs in (split.device_runs[device][str(TARGETS[0])], split.uncorrected[device])
    )
    return corrected, uncorrected
