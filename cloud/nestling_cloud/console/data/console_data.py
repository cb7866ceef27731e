"""What the console is put together from."""

from dataclasses import dataclass

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.console.data.health_facts import HealthFacts
from nestling_cloud.console.data.live import LiveFigures
from nestling_cloud.console.data.rounds import Rounds
from nestling_cloud.control.targets import Targets
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.store.store import Store
from nestling_cloud.telemetry.ingest_status import ReadUplink


@dataclass(frozen=True, kw_only=True)
class DeviceStart:
    """How a device comes to a cloud that nobody reported to yet.

    Attributes:
        told: what to do.
        command: for a shell.
    """

    told: str
    command: str


@dataclass(frozen=True, kw_only=True)
class ConsoleData:
    """Where pages and API get what they show.

    Attributes:
        repository: of the releases.
        figures: of the store.
        live: the same, shared by all pages.
        condition: what is wrong.
        targets: offload shares.
        rounds: of federated learning.
        start: how a device comes to this cloud.
    """

    repository: Repository
    figures: MetricQueries
    live: LiveFigures
    condition: HealthFacts
    targets: Targets
    rounds: Rounds
    start: DeviceStart


def console_parts(
    repository: Repository, store: Store, rounds: Rounds, start: DeviceStart, uplink: ReadUplink
) -> ConsoleData:
    """Wire the console to a cloud.

    Args:
        repository: of the releases.
        store: of the receipts.
        rounds: of federated learning.
        start: for people who want to start a device.
        uplink: asks the ingest how it is doing.
    """
    figures = MetricQueries(store)
    live = LiveFigures(figures, lambda: uplink().connected)
    return ConsoleData(
        repository=repository,
        figures=figures,
        live=live,
        condition=HealthFacts(store, repository, rounds, live, uplink),
        targets=Targets(store),
        rounds=rounds,
        start=start,
    )


def device_start(*, grpc: str, broker: str, enrolment: str | None) -> DeviceStart:
    """Tell how a device comes to a cloud: with TLS it has to enrol first."""
    if enrolment is not None:
        return DeviceStart(
            told="Let one in, where the cloud runs: the command prints what to run on the device.",
            command="nestling-cloud device add NAME",
        )
    return DeviceStart(
        told="Start one on this machine.",
        command=f"nestling-device run --cloud {grpc} --broker {broker}",
    )
