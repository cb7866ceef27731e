"""Federated rounds over an in-process grid of devices with the tiny task."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from flwr.app import Context, Message

from nestling_cloud.federated.array_records import record_of
from nestling_cloud.federated.round_log import Round, RoundLog
from nestling_cloud.federated.server_app import run_rounds
from nestling_cloud.federated.strategy import NestedAveraging, RoundBase, Rules
from nestling_cloud.progress import SilentProgress
from nestling_core.student.messages import LocalRecipe
from nestling_core.student.weights import read_arrays
from nestling_device.federated.client_app import app
from nestling_sim.fleet.flower_grid import LocalGrid
from tests.support.learning_fleet import LearningFleet, learning_fleet
from tests.support.tiny_task import TINY_TASK

Client = Callable[[Message, Context], Message]


def make_fleet(tiny_bundle: Path, folder: Path) -> LearningFleet:
    return learning_fleet(shutil.copytree(tiny_bundle, folder / "repository"), folder, (3, 2, 1))


def version(fleet: LearningFleet) -> str:
    desired = fleet.repository.desired()
    assert desired is not None
    return desired.bundle_version


def strategy(fleet: LearningFleet, *, min_clients: int = 2, wait_s: float = 0.0) -> NestedAveraging:
    ground = RoundBase(
        signature=TINY_TASK.signature, student=TINY_TASK.student, bundle_version=version(fleet)
    )
    recipe = LocalRecipe(epochs=1)
    return NestedAveraging(
        ground, Rules(min_clients=min_clients, recipe=recipe, timeout_s=1.0, wait_s=wait_s, seed=0)
    )


def checkpoint(fleet: LearningFleet) -> dict[str, np.ndarray]:
    path = fleet.repository.checkpoint_path(version(fleet))
    return read_arrays(path.read_bytes())


def one_round(
    fleet: LearningFleet, grid: LocalGrid, *, min_clients: int = 2
) -> tuple[NestedAveraging, dict[str, np.ndarray]]:
    """Run a single round; the arrays are empty if it made no model."""
    made = strategy(fleet, min_clients=min_clients)
    result = made.start(grid, record_of(checkpoint(fleet)), num_rounds=1)
    return made, {name: array.numpy() for name, array in result.arrays.items()}


def released(fleet: LearningFleet, client: Client = app, **changes: object) -> str:
    return run_rounds(LocalGrid(client, fleet.nodes), fleet.config(**changes), SilentProgress())


def rounds(fleet: LearningFleet) -> list[Round]:
    with RoundLog(fleet.config().store) as log:
        return log.rounds()
