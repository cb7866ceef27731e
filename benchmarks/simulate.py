"""The default scenario over several seeds: each trained again, run, and run again from the cache.

A seed chooses the subjects that train, calibrate and test, the weights, and who gets which
recording; so the spread is over people as well as over luck.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure as Picture
from rich.console import Console

from benchmarks.report import Figure, figure, parse_arguments, publish, results, seed_range
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.temporary import temporary_folder
from nestling_sim.run.run import RunConfig, run
from nestling_sim.scenario.scenario import load_scenario

_NOTE = """
`nestling-sim run`, the default scenario: nine simulated watches on three boards against a real
cloud and a real broker, through squeezed memory, a low battery, a slow link and an outage. Every
seed is trained with an empty cache (first run), then run again from the cache. Accuracies are on
subjects that neither the models nor the multiplexer saw. *Same share* rows send as many inputs as
the run did, by one threshold for the whole fleet that is set with hindsight.
Energy is modelled (see docs/operate.md); times are of the machine below.
"""
_WAYS = {
    "device_only": "device only",
    "max_softmax_same_share": "max-softmax, same share",
    "hybrid": "hybrid",
    "cloud_only": "cloud only",
    "oracle_same_share": "oracle, same share",
}
# What has to repeat exactly with the same seed.
_REPEATED = ("accuracy", "routes", "reasons", "fallbacks", "capacity_switches", "offload_share")


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments(__doc__ or "", seeds=3)
    first: list[dict[str, Any]] = []
    again: list[dict[str, Any]] = []
    progress = ConsoleProgress(Console(stderr=True))
    with temporary_folder(".nestling-bench-") as folder:
        for seed in seed_range(options):
            scenario = load_scenario("wearable").model_copy(update={"seed": seed})
            config = RunConfig(scenario=scenario, out=folder / "runs", cache=folder / "cache")
            for summaries in (first, again):
                started = time.monotonic()
                summary = dict(run(config, progress).summary)
                summaries.append({**summary, "total_s": time.monotonic() - started})
    publish(
        results("simulate", options, _figures(first, again)),
        options.json,
        title="The default scenario",
        note=_NOTE,
        pictures={"accuracy": _accuracy_picture},
    )


def _figures(
    first: Sequence[Mapping[str, Any]], again: Sequence[Mapping[str, Any]]
) -> dict[str, Figure]:
    accuracy = [summary["accuracy"] for summary in first]
    energy = [summary["energy_mj_per_input"] for summary in first]
    receipts = [summary["receipts"] for summary in first]
    gains = [100 * (a["hybrid"] - a["device_only"]) for a in accuracy]
    over = [100 * (a["hybrid"] - a["max_softmax_same_share"]) for a in accuracy]
    same = [
        float(all(a[key] == b[key] for key in _REPEATED)) for a, b in zip(first, again, strict=True)
    ]
    return {
        **{f"accuracy.{way}": figure([100 * a[way] for a in accuracy], "%") for way in _WAYS},
        "hybrid minus device_only": figure(
            gains, "points", goal=">= 2", anchor="a clear margin over the device alone"
        ),
        "hybrid minus max_softmax_same_share": figure(
            over, "points", goal=">= 0", anchor="max-softmax with hindsight"
        ),
        "offload_share": figure([100 * s["offload_share"] for s in first], "%"),
        **{
            f"energy.{way}": figure([e[way] for e in energy], "mJ per input, modelled")
            for way in ("device_only", "hybrid", "cloud_only")
        },
        "energy hybrid / cloud_only": figure(
            [e["hybrid"] / e["cloud_only"] for e in energy],
            "",
            goal="<= 1",
            anchor="sending every input to the cloud",
        ),
        "answered / inputs": figure(
            [s["answered"] / s["inputs"] for s in first],
            "",
            goal="== 1",
            anchor="always an answer, through the outage",
        ),
        "receipts lost": figure([r["lost"] for r in receipts], "", goal="== 0"),
        "receipts duplicate": figure([r["duplicate"] for r in receipts], "", goal="== 0"),
        "fallbacks": figure([s["fallbacks"] for s in first], "inputs"),
        "capacity_switches": figure([s["capacity_switches"] for s in first], ""),
        "same seed, same routes": figure(same, "", goal="== 1", anchor="the run from the cache"),
        "first run": figure([s["total_s"] for s in first], "s", goal="<= 240"),
        "run from the cache": figure([s["total_s"] for s in again], "s", goal="<= 60"),
    }


def _accuracy_picture(content: Mapping[str, Any]) -> Picture:
    picture = Picture(figsize=(7, 2.6), layout="constrained")
    axes = picture.subplots()
    entries = [content["figures"][f"accuracy.{way}"] for way in _WAYS]
    names = list(_WAYS.values())
    colours = ["#0072b2" if way == "hybrid" else "#9aa5b1" for way in _WAYS]
    axes.barh(
        names,
        [entry["value"] for entry in entries],
        xerr=[entry["spread"] or 0 for entry in entries],
        color=colours,
        ecolor="#333333",
    )
    axes.set_xlim(50, 100)
    axes.set_xlabel("accuracy, %, mean and s.d. over seeds (the axis starts at 50)")
    axes.spines[["top", "right"]].set_visible(False)
    return picture


if __name__ == "__main__":
    main()
