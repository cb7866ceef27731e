"""What the console is put together from."""

from dataclasses import dataclass

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.console.live import Live
from nestling_cloud.console.rounds import Rounds
from nestling_cloud.fleet.wishes import Wishes
from nestling_cloud.telemetry.figures import Figures
from nestling_cloud.telemetry.store import Store


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Where pages and API get what they show.

    Attributes:
        repository: of the releases.
        figures: of the store.
        live: the same, shared by all pages.
        wishes: offload shares.
        rounds: of federated learning.
        start_device: the command that starts a device for this cloud.
    """

    repository: Repository
    figures: Figures
    live: Live
    wishes: Wishes
    rounds: Rounds
    start_device: str


def console_parts(
    repository: Repository, store: Store, rounds: Rounds, *, grpc: str, broker: str
) -> Parts:
    """Wire the console to a cloud.

    Args:
        repository: of the releases.
        store: of the receipts.
        rounds: of federated learning.
        grpc: HOST:PORT, for people who want to start a device.
        broker: likewise.
    """
    figures = Figures(store)
    return Parts(
        repository=repository,
        figures=figures,
        live=Live(figures),
        wishes=Wishes(store),
        rounds=rounds,
        start_device=f"nestling-device run --cloud {grpc} --broker {broker}",
    )
