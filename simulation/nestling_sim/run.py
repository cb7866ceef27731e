"""One run from data to report, stage by stage."""

import dataclasses
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
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
from nestling_cloud.tasks import Examples, load_task
from nestling_cloud.telemetry.receipts import ReceiptRow
from nestling_cloud.telemetry.store import Store, store_url
from nestling_sim.cloud_process import cloud_process
from nestling_sim.evaluation import curves, evaluate
from nestling_sim.live import Fleet, FleetError, run_fleet
from nestling_sim.lived import Lived
from nestling_sim.report import Evidence, report_page
from nestling_sim.scenario import Scenario
from nestling_sim.streams import deal
from nestling_sim.summary import Outcome, summarize
from nestling_sim.weather import outages


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What to run, and where results go.

    Attributes:
        scenario: devices and weather; its task and seed count.
        data_dir: folder with the task's data; None searches the usual places.
        retrain: train even if the cache has the bundle.
        out: folder for results; each run makes one of its own in it.
        broker_kind: which broker the cloud starts.
        cache: folder of trained bundles; None takes the user's.
    """

    scenario: Scenario
    data_dir: Path | None = None
    retrain: bool = False
    out: Path = Path("runs")
    broker_kind: BrokerKind = "auto"
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


def run(config: RunConfig, progress: Progress) -> Result:
    """Train or take from the cache, ship, run the fleet, evaluate, write the report.

    Raises:
        CloudError: no data, no broker, or a task that cannot be learned.
        SimError: a device or the cloud failed.
    """
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
    live = _run_live if scenario.federated is None else _run_federated
    lived = live(config, trained.folder, streams, watch, progress)
    summary = summarize(
        Outcome(
            task=task.name,
            seed=scenario.seed,
            bundle_version=lived.version,
            manifest=lived.manifest,
            scenario=scenario,
            inputs=sum(map(len, lived.streams.values())),
            runs=lived.runs,
            receipts=lived.receipts,
            evaluation=lived.evaluation,
            wall_s=watch.wall_s,
        )
    )
    if lived.learning is not None:
        summary["federated"] = lived.learning
    evidence = Evidence(
        summary=summary,
        receipts=lived.receipts,
        curves=curves(lived.evaluation, np.random.default_rng(scenario.seed)),
        outages={
            device.device_id: outages(device, len(lived.streams[device.device_id]), scenario)
            for device in fleet
        },
    )
    with watch.stage("report"):
        page = report_page(evidence)
    summary["wall_s"] = {name: round(seconds, 2) for name, seconds in watch.wall_s.items()}
    folder = _write(config.out, summary, lived.every_receipt, page)
    return Result(summary=summary, folder=folder)


def _run_live(
    config: RunConfig,
    trained: Path,
    streams: Mapping[str, Examples],
    watch: _Watch,
    progress: Progress,
) -> Lived:
    repository = Repository(trained)
    desired, manifest = repository.desired(), repository.manifest()
    assert desired is not None  # it has a manifest
    # kill -9 leaves this folder, and no process: the cloud is on a leash.
    with watch.stage("fleet"), tempfile.TemporaryDirectory(prefix="nestling-") as folder:
        store = Path(folder) / "receipts.sqlite"
        with cloud_process(repository.root, store, broker_kind=config.broker_kind) as addresses:
            runs = run_fleet(
                Fleet(
                    scenario=config.scenario,
                    streams=streams,
                    capacity_bytes=[c.memory_bytes for c in manifest.capacities],
                    addresses=addresses,
                    state_dir=Path(folder) / "devices",
                ),
                progress,
            )
        with Store(store_url(str(store))) as stored:
            receipts = sorted(stored.receipts(), key=lambda row: (row.device, row.input_index))
    if not receipts:
        raise FleetError("the cloud stored no receipt; run again with --verbose to see why")
    with watch.stage("evaluate"):
        evaluation = evaluate(repository, streams, receipts)
    return Lived(
        manifest=manifest,
        version=desired.bundle_version,
        streams=streams,
        runs=runs,
        receipts=receipts,
        every_receipt=receipts,
        evaluation=evaluation,
    )


def _run_federated(
    config: RunConfig,
    trained: Path,
    streams: Mapping[str, Examples],
    watch: _Watch,
    progress: Progress,
) -> Lived:
    # Flower asks when it is imported, and then reports home unless it is told not to.
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")
    try:  # flwr is an extra of its own, and takes a second to import
        from nestling_sim.federated import Learning, learn_in_rounds  # noqa: PLC0415
    except ModuleNotFoundError as err:
        raise FleetError(f"{err}: pip install 'nestling[sim,federated]'") from err
    with watch.stage("fleet"), tempfile.TemporaryDirectory(prefix="nestling-") as name:
        learning = Learning(
            scenario=config.scenario,
            data_dir=config.data_dir,
            streams=streams,
            folder=Path(name),
        )
        # A copy: what this fleet learns must not become the cache's bundle.
        shutil.copytree(trained, learning.repository.root)
        with cloud_process(
            learning.repository.root, learning.store, broker_kind=config.broker_kind
        ) as addresses:
            return learn_in_rounds(learning, addresses, progress)


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
