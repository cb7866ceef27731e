"""The default scenario with an empty cache: what a new user waits for, and gets."""

import time
from dataclasses import dataclass

from rich.console import Console

from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.temporary import temporary_folder
from nestling_sim.run.run import RunConfig, run
from nestling_sim.scenario.scenario import load_scenario

# Task of the default scenario.
SIMULATED = "wearable"


@dataclass(frozen=True, kw_only=True)
class FirstRun:
    """A first run: its time in seconds, accuracies in %."""

    seconds: float
    device_only: float
    hybrid: float


def simulate(seed: int) -> FirstRun:
    """Train, ship and run the default scenario."""
    scenario = load_scenario(SIMULATED).model_copy(update={"seed": seed})
    with temporary_folder(".nestling-bench-") as folder:
        config = RunConfig(scenario=scenario, out=folder / "runs", cache=folder / "cache")
        started = time.monotonic()
        summary = run(config, ConsoleProgress(Console(stderr=True))).summary
        seconds = time.monotonic() - started
    accuracy = summary["accuracy"]
    return FirstRun(
        seconds=seconds,
        device_only=100 * accuracy["device_only"],
        hybrid=100 * accuracy["hybrid"],
    )
