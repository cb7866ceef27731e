"""Runs the built-in scenarios and draws their accuracies."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from rich.console import Console

from nestling_cloud.progress import ConsoleProgress
from nestling_sim.run.run import RunConfig, run
from nestling_sim.scenario.scenario import load_scenario


def run_scenario(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """Run a built-in scenario, and return the summary of the run.

    The models are trained first if the cache lacks them.

    Args:
        name: the name of the scenario.
        seed: the seed of the scenario.
        folder: the folder for the run and for the cache of trained models.

    Returns:
        The summary of the run, with the additional entry `total_s`: the duration in seconds,
        including the training.
    """
    scenario = load_scenario(name).model_copy(update={"seed": seed})
    config = RunConfig(scenario=scenario, out=folder / "runs", cache=folder / "cache")
    started = time.monotonic()
    summary = run(config, ConsoleProgress(Console(stderr=True))).summary
    return {**summary, "total_s": time.monotonic() - started}


def draw_accuracy_bars(
    axes: Axes, places: Sequence[Any], entries: Sequence[Mapping[str, Any]], **style: Any
) -> None:
    """Draw a horizontal bar for each accuracy, with an error bar for its spread.

    Args:
        axes: the axes to draw on.
        places: the position or the name of each bar.
        entries: for each bar, the entry of its figure in the result file. The entry has `value` and
            `spread`, both in %.
        **style: further arguments of `Axes.barh`.
    """
    values = [entry["value"] for entry in entries]
    spreads = [entry["spread"] or 0 for entry in entries]
    axes.barh(places, values, xerr=spreads, ecolor="#333333", **style)
    axes.spines[["top", "right"]].set_visible(False)
