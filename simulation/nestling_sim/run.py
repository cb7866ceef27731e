"""One run from data to report, stage by stage."""

import dataclasses
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nestling_cloud.broker import BrokerKind, find_broker
from nestling_cloud.bundles.cache import trained_repository
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.progress import Progress
from nestling_cloud.serving.config import RECEIPTS_FILE, Addresses
from nestling_cloud.tasks import Examples, load_task
from nestling_cloud.telemetry.receipts import ReceiptRow
from nestling_cloud.telemetry.store import Store, store_url
from nestling_sim.cloud_process import cloud_process
from nestling_sim.evaluation import curves, evaluate
from nestling_sim.live import Fleet, FleetError, keep_answering, run_fleet
from nestling_sim.report import Evidence, report_page
from nestling_sim.scenario import Scenario
from nestling_sim.streams import deal
from nestling_sim.summary import Outcome, summarize
from nestling_sim.weather import outages

# Between two inputs of a device that goes on after the report.
KEEP_INTERVAL_S = 1.0


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What to run, and where results go.

    Attributes:
        scenario: devices and weather; its task and seed count.
        data_dir: folder with the task's data; None searches the usual places.
        retrain: train even if the cache has the bundle.
        out: folder for results; each run makes one of its own in it.
        broker_kind: which broker the cloud starts.
        console: serve the console over the running simulation.
        keep_serving: let cloud and devices go on after the report, until a signal.
        cache: folder of trained bundles; None takes the user's.
    """

    scenario: Scenario
    data_dir: Path | None = None
    retrain: bool = False
    out: Path = Path("runs")
    broker_kind: BrokerKind = "auto"
    console: bool = False
    keep_serving: bool = False
    cache: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished run: its figures and the folder that has them."""

    summary: Mapping[str, Any]
    folder: Path


@dataclass
class _Watch:
    """Wall time by stage."""

    wall_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.wall_s[name] = time.monotonic() - started


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Who is told of a run while it goes on.

    Attributes:
        serving: called when the cloud is up.
        finished: called when the report is written; the run may go on serving after that.
    """

    serving: Callable[[Addresses], None] = lambda _: None
    finished: Callable[[Result], None] = lambda _: None


def run(config: RunConfig, progress: Progress, listener: Listener | None = None) -> Result:
    """Train or take from the cache, ship, run the fleet, evaluate, write the report.

    Args:
        config: what to run.
        progress: told of every step.
        listener: told of the run's stations.

    Raises:
        CloudError: no data, no broker, or a task that cannot be learned.
        SimError: a device or the cloud failed.
    """
    listener = listener or Listener()
    find_broker(config.broker_kind)  # told before the training and not after it
    scenario, watch = config.scenario, _Watch()
    fleet = scenario.fleet()
    with watch.stage("data"):
        task = load_task(scenario.task)
        splits = task.load_checked(config.data_dir, scenario.seed)
        dealt = deal(splits.test, len(fleet), scenario.seed)
        streams = {device.device_id: one for device, one in zip(fleet, dealt, strict=True)}
    with watch.stage("learn"):
        trained = trained_repository(
            task,
            splits,
            seed=scenario.seed,
            progress=progress,
            retrain=config.retrain,
            cache=config.cache,
        )
    repository = Repository(trained.folder)
    with _live(config, repository, streams) as live:
        with watch.stage("fleet"):
            listener.serving(live.fleet.addresses)
            runs = run_fleet(live.fleet, progress)
            receipts = _stored(live.store)
        with watch.stage("evaluate"):
            evaluation = evaluate(repository, streams, receipts)
        summary = summarize(
            Outcome(
                task=task.name,
                seed=scenario.seed,
                bundle_version=live.bundle_version,
                manifest=repository.manifest(),
                scenario=scenario,
                inputs=sum(map(len, dealt)),
                runs=runs,
                receipts=receipts,
                evaluation=evaluation,
                wall_s=watch.wall_s,
            )
        )
        evidence = Evidence(
            summary=summary,
            receipts=receipts,
            curves=curves(evaluation, np.random.default_rng(scenario.seed)),
            outages={
                device.device_id: outages(device, len(streams[device.device_id]), scenario)
                for device in fleet
            },
        )
        with watch.stage("report"):
            page = report_page(evidence)
        summary["wall_s"] = {name: round(seconds, 2) for name, seconds in watch.wall_s.items()}
        result = Result(summary=summary, folder=_write(config.out, summary, receipts, page))
        listener.finished(result)
        if config.keep_serving:
            keep_answering(live.fleet, interval_s=KEEP_INTERVAL_S)
    return result


@dataclass(frozen=True, kw_only=True)
class _Live:
    """A cloud that serves and a fleet that may run."""

    fleet: Fleet
    store: Path
    bundle_version: str


@contextmanager
def _live(
    config: RunConfig, repository: Repository, streams: Mapping[str, Examples]
) -> Iterator[_Live]:
    desired = repository.desired()
    assert desired is not None
    # kill -9 leaves this folder, and no process: the cloud is on a leash.
    with tempfile.TemporaryDirectory(prefix="nestling-") as folder:
        state = Path(folder) / "cloud"
        serving = cloud_process(
            repository.root,
            state,
            broker_kind=config.broker_kind,
            console=config.console or config.keep_serving,
        )
        with serving as addresses:
            fleet = Fleet(
                scenario=config.scenario,
                streams=streams,
                capacity_bytes=[c.memory_bytes for c in repository.manifest().capacities],
                addresses=addresses,
                state_dir=Path(folder) / "devices",
            )
            yield _Live(
                fleet=fleet,
                store=state / RECEIPTS_FILE,
                bundle_version=desired.bundle_version,
            )


def _stored(path: Path) -> list[ReceiptRow]:
    with Store(store_url(str(path))) as store:
        receipts = sorted(store.receipts(), key=lambda row: (row.device, row.input_index))
    if not receipts:
        raise FleetError("the cloud stored no receipt; run again with --verbose to see why")
    return receipts


def _write(
    out: Path, summary: Mapping[str, Any], receipts: Sequence[ReceiptRow], page: str
) -> Path:
    """Write a run's files, all or none."""
    out.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=out, prefix=".making-"))
    try:
        making.chmod(0o755)
        (making / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
        with (making / "receipts.jsonl").open("w", encoding="utf-8") as lines:
            for row in receipts:
                lines.write(json.dumps(dataclasses.asdict(row)) + "\n")
        (making / "report.html").write_text(page, "utf-8")
        started = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]
        folder = out / f"{summary['task']}-{summary['seed']}-{started}"
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder
