"""Runs a federated scenario, in which a fleet answers, learns in rounds, and answers again.

Before it answers again, the fleet installs the bundle that resulted from the rounds. The cloud, the
broker and the devices are real, as in every run. The rounds use the same ClientApp and ServerApp as
Flower's SuperNodes and SuperLink, but run in this process, connected by a `LocalGrid`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, RecordDict
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.federated import server_app
from nestling_cloud.federated.round_log import Round, RoundLog
from nestling_cloud.federated.run_config import RunConfig
from nestling_cloud.federated.server_app import NotReleasedError
from nestling_cloud.progress import Progress
from nestling_cloud.tasks import Examples
from nestling_core.nest.bundle_files import memory_needed
from nestling_device.federated import client_app
from nestling_sim.figures.evaluation import evaluate
from nestling_sim.figures.finished_run import FinishedRun
from nestling_sim.figures.follow_ups import split
from nestling_sim.figures.routing_entry import routing_entry
from nestling_sim.fleet.flower_grid import LocalGrid
from nestling_sim.fleet.live_run import DeviceRun, Fleet, run_fleet
from nestling_sim.fleet.streams import RunData
from nestling_sim.fleet.wearers import Wearer, wearers, write_local
from nestling_sim.run.workspace import Workspace
from nestling_sim.scenario.limits import Needs
from nestling_sim.scenario.scenario import FederatedTable, Scenario

_RUN = "simulation"


@dataclass(frozen=True, kw_only=True)
class LearningSetup:
    """The data and settings that a federated run needs.

    Attributes:
        scenario: the scenario, which has a `[federated]` table.
        data_dir: the folder with the task's data, or None to search the task's usual folders.
        data: the devices' recordings, still without drift, and the calibration inputs.
        workspace: the running cloud, whose repository gets the new release.
    """

    scenario: Scenario
    data_dir: Path | None
    data: RunData
    workspace: Workspace

    @property
    def table(self) -> FederatedTable:
        """The scenario's `[federated]` table."""
        assert self.scenario.federated is not None
        return self.scenario.federated


def learn_in_rounds(learning: LearningSetup, progress: Progress) -> FinishedRun:
    """Run a fleet that answers, learns in federated rounds, and answers again.

    Args:
        learning: the data and settings of the run. The cloud's repository must contain the first
            bundle.
        progress: the progress display.

    Returns:
        The fleet's answers after the rounds. The attribute `learning` compares them with the
        answers before the rounds.

    Raises:
        SimError: a stream is too short, or a device failed.
        CloudError: the rounds could not start.
    """
    people = wearers(learning.data.streams, learning.table, learning.scenario.seed)
    measured = {device: one.measured for device, one in people.items()}
    before = _answer(learning, measured, 0, progress)
    rounds = _learn(learning, people, before.manifest, progress)
    first_index = max(len(stream) for stream in measured.values())
    after = _answer(learning, measured, first_index, progress)
    return dataclasses.replace(
        after,
        runs=[_since(run, earlier) for run, earlier in zip(after.runs, before.runs, strict=True)],
        learning=_learning_summary(learning, people, rounds, before, after),
    )


def _answer(
    learning: LearningSetup,
    streams: Mapping[str, Examples],
    first_index: int,
    progress: Progress,
) -> FinishedRun:
    repository = learning.workspace.repository
    desired, manifest = repository.desired(), repository.manifest()
    assert desired is not None  # it has a manifest
    fleet = Fleet(
        scenario=learning.scenario,
        streams=streams,
        needs=Needs.of(manifest),
        addresses=learning.workspace.addresses,
        state_dir=learning.workspace.devices,
        first_index=first_index,
    )
    runs = run_fleet(fleet, progress)
    every_receipt = learning.workspace.receipts()
    receipts, follow_ups = split(
        [
            dataclasses.replace(row, input_index=row.input_index - first_index)
            for row in every_receipt
            if row.input_index >= first_index
        ]
    )
    return FinishedRun(
        manifest=manifest,
        version=desired.bundle_version,
        fleet=fleet,
        runs=runs,
        receipts=receipts,
        follow_ups=follow_ups,
        every_receipt=every_receipt,
        evaluation=evaluate(repository, streams, receipts, learning.data.calibration, follow_ups),
        routing=routing_entry(repository),
    )


def _learn(
    learning: LearningSetup, people: Mapping[str, Wearer], manifest: Manifest, progress: Progress
) -> list[Round]:
    """Run the rounds and return their log.

    The log also says whether a bundle was released. It is not an error if no bundle was released.
    """
    table, scenario = learning.table, learning.scenario
    config = RunConfig(
        repository=str(learning.workspace.repository.root),
        store=learning.workspace.store,
        task=scenario.task,
        data_dir=str(learning.data_dir or ""),
        seed=scenario.seed,
        run=_RUN,
        rounds=table.rounds,
        local_epochs=table.local_epochs,
        wait_s=0.0,
    )
    grid = LocalGrid(client_app.app, _node_configs(learning, people, manifest))
    context = Context(
        run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config=config.values()
    )
    what = f"{table.rounds} federated rounds and a release"
    for _ in progress.track([None], 1, what):
        with suppress(NotReleasedError):
            server_app.app(grid, context)
    with RoundLog(config.store) as log:
        return list(reversed(log.rounds(limit=table.rounds, run=_RUN)))


def _node_configs(
    learning: LearningSetup, people: Mapping[str, Wearer], manifest: Manifest
) -> list[dict[str, str | int | float]]:
    needed = memory_needed(manifest)
    configs: list[dict[str, str | int | float]] = []
    for device in learning.scenario.fleet():
        data = learning.workspace.folder / f"{device.device_id}.npz"
        write_local(people[device.device_id].local, data)
        configs.append(
            {
                "id": device.device_id,
                "state": str(learning.workspace.devices / device.device_id),
                "data": str(data),
                "memory-kb": device.memory.memory_bytes(needed) / 1000,
                "cloud": learning.workspace.addresses.grpc,
            }
        )
    return configs


def _since(run: DeviceRun, earlier: DeviceRun) -> DeviceRun:
    """Return a device's counts without the receipts that an earlier run wrote to its outbox.

    The other counts start at 0 in every run.
    """
    return dataclasses.replace(run, receipts=run.receipts - earlier.receipts)


def _learning_summary(
    learning: LearningSetup,
    people: Mapping[str, Wearer],
    rounds: Sequence[Round],
    before: FinishedRun,
    after: FinishedRun,
) -> dict[str, Any]:
    last = rounds[-1]
    devices = {
        device: {
            "capacity": max(
                row.resident_capacity for row in after.receipts if row.device == device
            ),
            "speed": round(one.drift.speed, 3),
            "local": len(one.local),
            "measured": len(one.measured),
            "before": _accuracy(before, device),
            "after": _accuracy(after, device),
        }
        for device, one in people.items()
    }
    return {
        "bundle_before": before.version,
        "released": last.released,
        "verdict": last.verdict,
        "rotation_degrees": learning.table.rotation_degrees,
        "before": _accuracy(before),
        "after": _accuracy(after),
        "devices": devices,
        "calibration_accuracy_before": [entry.accuracy for entry in before.manifest.capacities],
        "calibration_accuracy_after": [entry.accuracy for entry in after.manifest.capacities],
        "rounds": [_round_summary(one) for one in rounds],
    }


def _round_summary(one: Round) -> dict[str, Any]:
    return {
        "number": one.number,
        "seconds": (one.ended_ms - one.started_ms) / 1000,
        "participants": len(one.participants),
        "dropped": [dataclasses.asdict(lost) for lost in one.dropped],
        "bytes_down": one.bytes_down,
        "bytes_up": one.bytes_up,
        "calibration_accuracy": list(one.accuracy),
        "client_accuracy_before": _mean([each.accuracy_before for each in one.participants]),
        "client_accuracy_after": _mean([each.accuracy_after for each in one.participants]),
    }


def _accuracy(phase: FinishedRun, device: str | None = None) -> dict[str, float]:
    """Return the accuracies and the offload share of a device, from 0 to 1.

    If `device` is None, they are those of the whole fleet.
    """
    rows = np.array([device in {None, row.device} for row in phase.receipts])
    evaluation = phase.evaluation

    def share(right: NDArray[np.bool_]) -> float:
        return float(right[rows].mean())

    return {
        "device_only": share(evaluation.device),
        "hybrid": share(evaluation.answered),
        "cloud_only": share(evaluation.cloud),
        "offload_share": share(evaluation.offloaded),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
