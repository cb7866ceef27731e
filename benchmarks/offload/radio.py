"""Computes what the radio of the default scenario would have taken with plain float32."""

import json
from pathlib import Path

from nestling.v1.budget_pb2 import Budget
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.wearable import TASK as WEARABLE
from nestling_core.routing.admission import offload_bytes
from nestling_core.wire.choice import plain_form
from nestling_device.energy.meter import ProfileMeter
from nestling_device.energy.power_tables import load_board, load_link
from nestling_sim.run.run import RunConfig, run
from nestling_sim.scenario.scenario import load_scenario


def radio_ratio(seed: int, folder: Path, cache: Path, progress: Progress) -> float:
    """Return the radio energy of a run's answered offloads as float32, divided by the run's own.

    Args:
        seed: the seed of the scenario.
        folder: the folder for the results of the run.
        cache: the folder for trained bundles.
        progress: the progress display of the training.
    """
    scenario = load_scenario("wearable").model_copy(update={"seed": seed})
    result = run(RunConfig(scenario=scenario, out=folder, cache=cache), progress)
    meters = {
        device.device_id: ProfileMeter(load_board(device.profile), load_link(device.link))
        for device in scenario.fleet()
    }
    plain_bytes = offload_bytes(plain_form(WEARABLE.signature.shape))
    sent = plain = 0.0
    for line in (result.folder / "receipts.jsonl").read_text("utf-8").splitlines():
        receipt = json.loads(line)
        if receipt["route"] == "cloud":
            budget = Budget(link_mbit_s=receipt["budget_link_mbit_s"])
            sent += receipt["energy_radio_mj"]
            plain += meters[receipt["device"]].radio_mj(plain_bytes, budget)
    return plain / sent
