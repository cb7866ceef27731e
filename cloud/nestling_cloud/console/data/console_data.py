"""The sources of the console's figures, and their wiring."""

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
    """How to connect a device to this cloud.

    Attributes:
        instruction: what to do, for people.
        command: shell command.
    """

    instruction: str
    command: str


@dataclass(frozen=True, kw_only=True)
class ConsoleData:
    """The sources of what pages and the API show.

    Attributes:
        repository: holds the released bundles.
        figures: queries of the store.
        live: cached queries of the store, shared by all pages.
        health: finds what is wrong.
        targets: target offload shares.
        rounds: federated rounds.
        start: how to connect a device to this cloud.
    """

    repository: Repository
    figures: MetricQueries
    live: LiveFigures
    health: HealthFacts
    targets: Targets
    rounds: Rounds
    start: DeviceStart


def console_parts(
    repository: Repository, store: Store, rounds: Rounds, start: DeviceStart, uplink: ReadUplink
) -> ConsoleData:
    """Wire the console to a cloud.

    Args:
        repository: holds the released bundles.
        store: holds the receipts.
        rounds: reads federated rounds.
        start: how to connect a device to this cloud.
        uplink: returns the status of the ingest.
    """
    figures = MetricQueries(store)
    live = LiveFigures(figures, lambda: uplink().connected)
    return ConsoleData(
        repository=repository,
        figures=figures,
        live=live,
        health=HealthFacts(store, repository, rounds, live, uplink),
        targets=Targets(store),
        rounds=rounds,
        start=start,
    )


def device_start(*, grpc: str, broker: str, enrolment: str | None) -> DeviceStart:
    """Return how to connect a device to a cloud.

    Args:
        grpc: HOST:PORT of inference and delivery.
        broker: HOST:PORT of the broker.
        enrolment: HOST:PORT of enrolment, which a cloud with TLS needs; None without TLS.
    """
    if enrolment is not None:
        return DeviceStart(
            instruction="Add a device on the machine that runs the cloud. The command prints what "
            "to run on the device.",
            command="nestling-cloud device add NAME",
        )
    return DeviceStart(
        instruction="Start a device on this machine.",
        command=f"nestling-device run --cloud {grpc} --broker {broker}",
    )
