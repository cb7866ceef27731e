"""A tiny task's bundle, and devices that run it, each with its own labelled examples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nestling_cloud.bundles.cache import trained_repository
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.federated.run_config import RunConfig
from nestling_cloud.progress import SilentProgress
from nestling_cloud.store.store import store_url
from nestling_cloud.tasks import Examples
from nestling_device.bundle.self_test import self_test
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.installer import Installer
from nestling_device.storage.state import State
from tests.support.memory_source import MemorySource
from tests.support.tiny_task import TINY_TASK, tiny_splits, tones

TASK = f"{Path(__file__).parent / 'tiny_task.py'}:TINY_TASK"
NodeConfig = dict[str, str | int | float]


@dataclass(frozen=True, kw_only=True)
class LearningFleet:
    """A repository with a tiny bundle, and devices that have installed it."""

    repository: Repository
    store: Path
    nodes: list[NodeConfig]

    def config(self, **changes: object) -> RunConfig:
        """Return the configuration of a short run of rounds; keyword arguments replace fields."""
        values = {
            "repository": str(self.repository.root),
            "store": store_url(str(self.store)),
            "task": TASK,
            "rounds": 2,
            "local_epochs": 2,
            "wait_s": 0.0,
            "calibration_margin": 0.1,
            "client_margin": 0.1,
            "run": "test",
        }
        return RunConfig(**{**values, **changes})  # type: ignore[arg-type]  # one dictionary


def tiny_repository(cache: Path) -> Path:
    """Return a repository with the tiny task's bundle, trained or from the cache."""
    return trained_repository(
        TINY_TASK, tiny_splits(), seed=0, progress=SilentProgress(), cache=cache
    )


def learning_fleet(repository: Path, folder: Path, capacities: tuple[int, ...]) -> LearningFleet:
    """Install the bundle on one device per capacity.

    Args:
        repository: folder of the repository; nobody else may write to it.
        folder: folder for the devices and the store.
        capacities: largest capacity of each device.
    """
    made = Repository(repository)
    return LearningFleet(
        repository=made,
        store=folder / "receipts.sqlite",
        nodes=[_node(made, folder, number, k) for number, k in enumerate(capacities, start=1)],
    )


def _node(repository: Repository, folder: Path, number: int, capacity: int) -> NodeConfig:
    manifest, desired = repository.manifest(), repository.desired()
    assert desired is not None
    memory_bytes = manifest.capacities[capacity - 1].memory_bytes
    source = MemorySource()
    source.desired = desired
    source.blobs = {path.name: path.read_bytes() for path in (repository.root / "blobs").iterdir()}
    state_dir = folder / f"device-{number}"
    with State(state_dir) as state:
        Installer(state, BlobStore(state_dir / "blobs"), source, self_test, "uint8").install(
            memory_bytes
        )
    data = folder / f"device-{number}.npz"
    write_examples(slow_tones(60, seed=number), data)
    return {
        "id": f"device-{number}",
        "state": str(state_dir),
        "data": str(data),
        "memory-kb": memory_bytes / 1000,
    }


def slow_tones(count: int, seed: int) -> Examples:
    """Return tones in the order of their pitch, as in a recording of one tone after another."""
    made = tones(count, seed)
    order = np.argsort(made.labels, kind="stable")
    return Examples(inputs=made.inputs[order], labels=made.labels[order])


def write_examples(examples: Examples, path: Path) -> None:
    """Write a device's training examples to a file."""
    np.savez(path, windows=examples.inputs, labels=examples.labels)
