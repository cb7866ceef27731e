"""Where a simulation takes place: a cloud that serves, and a folder that is gone afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.mqtt.broker_process import BrokerKind
from nestling_cloud.service.config import Addresses
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.store.store import RECEIPTS_FILE, Store, store_url
from nestling_cloud.temporary import temporary_folder
from nestling_sim.fleet.live import FleetError
from nestling_sim.run.cloud_process import cloud_process

# A device's own state folder may be called nestling-NAME, and never begins with a dot.
FOLDER_PREFIX = ".nestling-sim-"


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A cloud that is up, and what belongs to it.

    Attributes:
        folder: the simulation's own.
        repository: that the cloud serves.
        addresses: of the cloud.
    """

    folder: Path
    repository: Repository
    addresses: Addresses

    @property
    def store(self) -> str:
        """Database URL of what the cloud stores."""
        return store_url(str(_cloud_state(self.folder) / RECEIPTS_FILE))

    @property
    def devices(self) -> Path:
        """Folder for the devices' state folders."""
        return self.folder / "devices"

    def receipts(self) -> list[ReceiptRow]:
        """Read what the cloud has stored so far, by device and input index.

        Raises:
            FleetError: nothing at all.
        """
        with Store(self.store) as store:
            found = sorted(store.receipts(), key=lambda row: (row.device, row.input_index))
        if not found:
            raise FleetError("the cloud stored no receipt; run again with --verbose to see why")
        return found


@contextmanager
def open_workspace(
    repository: Repository, *, broker_kind: BrokerKind, console: bool
) -> Iterator[Workspace]:
    """Serve a repository from a temporary folder.

    Args:
        repository: to serve.
        broker_kind: which broker the cloud starts.
        console: whether it serves its console.
    """
    # kill -9 leaves this folder until the next run, and no process: the cloud is on a parent-death
    # guard.
    with temporary_folder(FOLDER_PREFIX) as folder:
        serving = cloud_process(
            repository.root, _cloud_state(folder), broker_kind=broker_kind, console=console
        )
        with serving as addresses:
            yield Workspace(folder=folder, repository=repository, addresses=addresses)


def _cloud_state(folder: Path) -> Path:
    return folder / "cloud"
