"""Provides the workspace of a simulation, which is a running cloud with a temporary folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.mqtt.broker_process import BrokerKind
from nestling_cloud.service.config import Addresses
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.store.store import RECEIPTS_FILE, Store, store_url
from nestling_cloud.temporary_files import temporary_folder
from nestling_sim.fleet.live_run import FleetError
from nestling_sim.run.cloud_process import cloud_process

# The dot distinguishes it from a device's state folder, which may be called nestling-NAME.
FOLDER_PREFIX = ".nestling-sim-"


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A running cloud and its folders.

    Attributes:
        folder: the temporary folder of the simulation.
        repository: the repository that the cloud serves.
        addresses: the addresses of the cloud and its broker.
    """

    folder: Path
    repository: Repository
    addresses: Addresses

    @property
    def store(self) -> str:
        """The database URL of the cloud's store."""
        return store_url(str(_cloud_state(self.folder) / RECEIPTS_FILE))

    @property
    def devices(self) -> Path:
        """The parent folder of the devices' state folders."""
        return self.folder / "devices"

    def receipts(self) -> list[ReceiptRow]:
        """Return the receipts that the cloud has stored, sorted by device and input index.

        Raises:
            FleetError: the cloud has stored no receipt.
        """
        with Store(self.store) as store:
            rows = sorted(store.receipts(), key=lambda row: (row.device, row.input_index))
        if not rows:
            raise FleetError("the cloud stored no receipt; run again with --verbose to see why")
        return rows


@contextmanager
def open_workspace(
    repository: Repository, *, broker_kind: BrokerKind, console: bool
) -> Iterator[Workspace]:
    """Provide a workspace with a cloud that serves a repository, during the block.

    Args:
        repository: the repository to serve.
        broker_kind: the kind of broker that the cloud starts.
        console: whether the cloud serves its console.

    Yields:
        The workspace, whose temporary folder is removed after the block.

    Raises:
        CloudProcessError: the cloud did not start, or ended during the block.
    """
    # After kill -9 the folder stays until the next run, but no process: the cloud has a
    # parent-death guard.
    with temporary_folder(FOLDER_PREFIX) as folder:
        serving = cloud_process(
            repository.root, _cloud_state(folder), broker_kind=broker_kind, console=console
        )
        with serving as addresses:
            yield Workspace(folder=folder, repository=repository, addresses=addresses)


def _cloud_state(folder: Path) -> Path:
    return folder / "cloud"
