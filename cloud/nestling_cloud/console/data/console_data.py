"""Collects the sources of the console's figures, and creates them for a cloud."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.console.data.health_facts import HealthFacts
from nestling_cloud.console.data.live_figures import LiveFigures
from nestling_cloud.console.data.stored_rounds import StoredRounds
from nestling_cloud.control.targets import Targets
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.serving.served_models import ServedModel
from nestling_cloud.store.labeled_inputs import LabeledInputs
from nestling_cloud.store.store import Store
from nestling_cloud.telemetry.ingest_status import ReadUplink


@dataclass(frozen=True, kw_only=True)
class DeviceStart:
    """Instructions for connecting a device to this cloud.

    Attributes:
        instruction: one or more sentences that tell a person what to do.
        command: the shell command to run.
    """

    instruction: str
    command: str


@dataclass(frozen=True, kw_only=True)
class ConsoleData:
    """The sources of the figures that pages and the API show.

    Attributes:
        repository: the repository that holds the released bundles.
        figures: the queries that read figures from the store.
        live: the same queries with cached results, which all pages share.
        health: the checks that find what is wrong with the cloud, its fleet and its devices.
        targets: the target offload shares of the fleet and the devices.
        rounds: the reader of federated rounds.
        start: the instructions for connecting a device to this cloud.
        served: a function that returns the models that answer devices, the newest last.
        inputs: the inputs that devices sent to the cloud, with their labels.
    """

    repository: Repository
    figures: MetricQueries
    live: LiveFigures
    health: HealthFacts
    targets: Targets
    rounds: StoredRounds
    start: DeviceStart
    served: Callable[[], Sequence[ServedModel]]
    inputs: LabeledInputs


def console_parts(
    repository: Repository,
    store: Store,
    rounds: StoredRounds,
    start: DeviceStart,
    *,
    uplink: ReadUplink,
    served: Callable[[], Sequence[ServedModel]],
) -> ConsoleData:
    """Create the sources of the console's figures for a cloud.

    Args:
        repository: the repository that holds the released bundles.
        store: the store that holds the receipts.
        rounds: the reader of federated rounds.
        start: the instructions for connecting a device to this cloud.
        uplink: a function that returns the status of the ingest, which receives what devices send.
        served: a function that returns the models that answer devices, the newest last.
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
        served=served,
        inputs=LabeledInputs(store),
    )


def device_start(*, grpc: str, broker: str, enrolment: str | None) -> DeviceStart:
    """Return the instructions for connecting a device to a cloud.

    Args:
        grpc: the HOST:PORT of the inference and delivery services.
        broker: the HOST:PORT of the broker.
        enrolment: the HOST:PORT of the enrolment service, which devices of a cloud with TLS need;
            None for a cloud without TLS.
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
