"""Measure the accuracy, the energy and the reliability of the default scenario over several seeds.

Each seed is run twice, first with an empty cache and then with the models from the cache. A seed
determines the subjects for training, calibration and test, the initial weights, and the recording
that each device replays. The spread is therefore over people as well as over random weights.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure as Picture

from benchmarks.report import Figure, figure, parse_arguments, publish
from benchmarks.scenario import draw_accuracy_bars, run_scenario
from nestling_cloud.temporary_files import temporary_folder

_NOTE = """
`nestling-sim run`, the default scenario: nine simulated watches on three boards against a real
cloud and a real broker, with little memory, a low battery, a slow link and an outage. Every seed is
trained with an empty cache (first run), then run again from the cache. Accuracies are on subjects
that neither the models nor their router saw; the stream filter, though, was designed while looking
at these subjects ([streams.md](streams.md) has others). *Same share* rows send as many inputs as
the run did, by one threshold for the whole fleet that is chosen with hindsight. *Filtered* rows are
behind the stream filter of the bundle; the cloud alone has a filter of its own, which was fitted on
calibration inputs in the same way.
Energy is modelled (see docs/operate.md); times are of the machine below. The goal for the energy
was set when inputs were sent as float32, with which the cloud alone took 13.7 mJ for each
([offload.md](offload.md)).
"""
_MODES = {
    "device_only": "device only",
    "device_only_filtered": "device only, filtered",
    "max_softmax_same_share": "max-softmax, same share",
    "max_softmax_filtered_same_share": "max-softmax, filtered, same share",
    "margin_same_share": "margin, same share",
    "margin_filtered_same_share": "margin, filtered, same share",
    "hybrid": "hybrid",
    "cloud_only": "cloud only",
    "cloud_only_filtered": "cloud only, filtered",
    "oracle_same_share": "oracle, same share",
}
# The rivals of the run, with the goal for the run's accuracy minus theirs, in points.
_RIVALS = {
    "max_softmax_same_share": ">= 2",
    "max_softmax_filtered_same_share": None,
    "margin_same_share": None,
    "margin_filtered_same_share": None,
    "cloud_only": ">= 0.5",
    "cloud_only_filtered": None,
}
# Entries of the summary that repeat exactly with the same seed.
_REPEATED = ("accuracy", "routes", "reasons", "fallbacks", "capacity_switches", "offload_share")


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments(__doc__ or "", seeds=5)
    with temporary_folder(".nestling-bench-") as folder:
        runs = [
            [run_scenario("wearable", seed, folder) for _ in range(2)] for seed in options.seeds
        ]
    publish(
        "simulate",
        options,
        _figures([first for first, _ in runs], [second for _, second in runs]),
        title="The default scenario",
        note=_NOTE,
        charts={"accuracy": _accuracy_chart},
    )


def _figures(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> dict[str, Figure]:
    accuracy = [summary["accuracy"] for summary in first]
    energy = [summary["energy_mj_per_input"] for summary in first]
    receipts = [summary["receipts"] for summary in first]
    return {
        **{f"accuracy.{mode}": figure([100 * a[mode] for a in accuracy], "%") for mode in _MODES},
        "hybrid minus device_only": figure(
            [100 * (a["hybrid"] - a["device_only"]) for a in accuracy],
            "points",
            goal=">= 2",
            anchor="a clear margin over the device alone",
        ),
        **_against_rivals(accuracy),
        "offload_share": figure(
            [100 * s["offload_share"] for s in first], "%", goal="<= 10", anchor="the target"
        ),
        **{
            f"energy.{mode}": figure([e[mode] for e in energy], "mJ per input, modelled")
            for mode in ("device_only", "hybrid", "cloud_only")
        },
        "energy hybrid / cloud_only": figure(
            [e["hybrid"] / e["cloud_only"] for e in energy],
            goal="<= 0.12",
            anchor="sending every input to the cloud",
        ),
        "answered / inputs": figure(
            [s["answered"] / s["inputs"] for s in first],
            goal="== 1",
            anchor="always an answer, through the outage",
        ),
        "receipts lost": figure([r["lost"] for r in receipts], goal="== 0"),
        "receipts duplicate": figure([r["duplicate"] for r in receipts], goal="== 0"),
        "fallbacks": figure([s["fallbacks"] for s in first], "inputs"),
        "capacity_switches": figure([s["capacity_switches"] for s in first]),
        "same seed, same routes": figure(
            [
                float(all(a[key] == b[key] for key in _REPEATED))
                for a, b in zip(first, second, strict=True)
            ],
            goal="== 1",
            anchor="the run from the cache",
        ),
        "first run": figure([s["total_s"] for s in first], "s", goal="<= 240"),
        "run from the cache": figure([s["total_s"] for s in second], "s", goal="<= 60"),
    }


def _against_rivals(accuracy: Sequence[Mapping[str, float]]) -> dict[str, Figure]:
    return {
        f"hybrid minus {rival}": figure(
            [100 * (a["hybrid"] - a[rival]) for a in accuracy],
            "points",
            goal=goal,
            anchor=_MODES[rival],
        )
        for rival, goal in _RIVALS.items()
    }


def _accuracy_chart(content: Mapping[str, Any]) -> Picture:
    picture = Picture(figsize=(7, 3.8), layout="constrained")
    axes = picture.subplots()
    draw_accuracy_bars(
        axes,
        list(_MODES.values()),
        [content["figures"][f"accuracy.{mode}"] for mode in _MODES],
        color=["#0072b2" if mode == "hybrid" else "#9aa5b1" for mode in _MODES],
    )
    axes.set_xlim(50, 100)
    axes.set_xlabel("accuracy, %, mean and s.d. over seeds (the axis starts at 50)")
    return picture


if __name__ == "__main__":
    main()
