"""Runs one simulation from data to report, stage by stage."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nestling_cloud.bundles.cache import trained_repository
from nestling_cloud.bundles.quick_notice import QUICK_NOTICE
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.inputs.added_training import with_folders
from nestling_cloud.mqtt.broker_process import BrokerKind, find_broker
from nestling_cloud.progress import Progress
from nestling_cloud.service.config import Addresses
from nestling_cloud.tasks import Splits, Task, load_task, quick_task
from nestling_cloud.temporary_files import temporary_folder
from nestling_sim.figures.evaluation import curves, evaluate
from nestling_sim.figures.finished_run import FinishedRun
from nestling_sim.figures.follow_ups import split
from nestling_sim.figures.routing_entry import routing_entry
from nestling_sim.figures.summary import Outcome, summarize
from nestling_sim.figures.timeline import timeline
from nestling_sim.fleet.live_run import Fleet, FleetError, keep_answering, run_fleet
from nestling_sim.fleet.streams import RunData, deal
from nestling_sim.report import Evidence, report_page
from nestling_sim.run.open_files import raise_open_files_limit
from nestling_sim.run.results import write_results
from nestling_sim.run.workspace import FOLDER_PREFIX, Workspace, open_workspace
from nestling_sim.scenario.conditions import outages
from nestling_sim.scenario.limits import Needs
from nestling_sim.scenario.scenario import Scenario

# Time between two inputs of a device that keeps running after the report.
KEEP_INTERVAL_S = 1.0


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The scenario to run, with the settings of the run.

    Attributes:
        scenario: the scenario, with its task, seed, devices and conditions.
        data_dir: the folder with the task's data, or None to search the task's usual folders.
        folders: the folders with labeled inputs from devices, which are added to the training data.
        retrain: whether to train even if the cache has the bundle.
        quick: whether to train on a sample for a few epochs; the run is then marked as quick.
        out: the folder for results, in which each run makes its own folder.
        broker_kind: the kind of broker that the cloud starts.
        console: whether to serve the console while the simulation runs.
        keep_serving: whether to keep cloud, console and devices running after the report, until a
            signal.
        cache: the folder of trained bundles, or None for the user's cache.
    """

    scenario: Scenario
    data_dir: Path | None = None
    folders: Sequence[Path] = ()
    retrain: bool = False
    quick: bool = False
    out: Path = Path("runs")
    broker_kind: BrokerKind = "auto"
    console: bool = False
    keep_serving: bool = False
    cache: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a run.

    Attributes:
        summary: the content of summary.json.
        folder: the folder with the run's summary, receipts and report.
    """

    summary: Mapping[str, Any]
    folder: Path


@dataclass
class _Stopwatch:
    """Measures the wall time of each stage of a run."""

    wall_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.wall_s[name] = time.monotonic() - started


@dataclass(frozen=True, kw_only=True)
class Listener:
    """The functions that a run calls to report its progress.

    Attributes:
        serving: a function that is called with the cloud's addresses when the cloud is up.
        finished: a function that is called with the result when the report is written. The run may
            keep serving after that.
        notice: a function that is called with a line of text for the user.
    """

    serving: Callable[[Addresses], None] = lambda _: None
    finished: Callable[[Result], None] = lambda _: None
    notice: Callable[[str], None] = lambda _: None


def run(config: RunConfig, progress: Progress, listener: Listener | None = None) -> Result:
    """Run one simulation and write its report.

    The bundle is trained or loaded from the cache. Then the fleet answers its inputs, and the
    answers are compared with those of the other options. With `keep_serving`, the fleet then
    continues until a signal raises an exception, and the function does not return.

    Args:
        config: the scenario to run, with the settings of the run.
        progress: the progress display.
        listener: the callbacks at the milestones of the run, or None for no callbacks.

    Returns:
        The figures and the folder of the run.

    Raises:
        CloudError: there is no data or no broker, or the task cannot be learned.
        SimError: a device or the cloud failed, or the results cannot be written.
    """
    listener = listener or Listener()
    find_broker(config.broker_kind)  # a missing broker is reported before the training
    scenario, watch = config.scenario, _Stopwatch()
    fleet = scenario.fleet()
    raise_open_files_limit(len(fleet))
    with watch.stage("data"):
        task = load_task(scenario.task)
        if config.quick:
            task = quick_task(task)
            listener.notice(QUICK_NOTICE)
        own = task.load_checked(config.data_dir, scenario.seed)
        splits, added = with_folders(task, own, config.folders)
        for entry in added:
            listener.notice(entry.text())
        dealt = deal(splits.test, len(fleet), scenario.seed)
        streams = {device.device_id: one for device, one in zip(fleet, dealt, strict=True)}
        data = RunData(streams=streams, calibration=splits.calibration)
    with watch.stage("learn"):
        trained = trained_repository(
            task,
            splits,
            seed=scenario.seed,
            progress=progress,
            retrain=config.retrain,
            cache=config.cache,
            report=listener.notice,
        )
    with _workspace(config, trained) as workspace:
        listener.serving(workspace.addresses)
        live = _run_live if scenario.federated is None else _run_federated
        finished = live(config, workspace, data, watch, progress)
        summary = _summary(task, scenario, splits, finished, watch)
        with watch.stage("report"):
            page = report_page(_evidence(scenario, finished, summary))
        summary["wall_s"] = {name: round(seconds, 2) for name, seconds in watch.wall_s.items()}
        folder = write_results(config.out, summary, finished.every_receipt, page)
        result = Result(summary=summary, folder=folder)
        listener.finished(result)
        if config.keep_serving:
            keep_answering(finished.fleet, interval_s=KEEP_INTERVAL_S)
    return result


@contextmanager
def _workspace(config: RunConfig, trained: Path) -> Iterator[Workspace]:
    with ExitStack() as stack:
        if config.scenario.federated is not None:
            # A copy: what this fleet learns must not become the cache's bundle.
            copy = stack.enter_context(temporary_folder(FOLDER_PREFIX))
            trained = Path(shutil.copytree(trained, copy / "repository"))
        yield stack.enter_context(
            open_workspace(
                Repository(trained),
                broker_kind=config.broker_kind,
                console=config.console or config.keep_serving,
            )
        )


def _summary(
    task: Task, scenario: Scenario, splits: Splits, finished: FinishedRun, watch: _Stopwatch
) -> dict[str, Any]:
    summary = summarize(
        Outcome(
            task=task.name,
            seed=scenario.seed,
            bundle_version=finished.version,
            manifest=finished.manifest,
            scenario=scenario,
            inputs=sum(map(len, finished.fleet.streams.values())),
            recordings=len(splits.test),
            runs=finished.runs,
            receipts=finished.receipts,
            follow_ups=finished.follow_ups,
            evaluation=finished.evaluation,
            routing=finished.routing,
            wall_s=watch.wall_s,
        )
    )
    return summary if finished.learning is None else {**summary, "federated": finished.learning}


def _evidence(scenario: Scenario, finished: FinishedRun, summary: Mapping[str, Any]) -> Evidence:
    streams = finished.fleet.streams
    return Evidence(
        summary=summary,
        receipts=finished.receipts,
        curves=curves(finished.evaluation),
        outages={
            device.device_id: outages(device, len(streams[device.device_id]), scenario)
            for device in scenario.fleet()
        },
        timeline=timeline(finished),
    )


def _run_live(
    config: RunConfig,
    workspace: Workspace,
    data: RunData,
    watch: _Stopwatch,
    progress: Progress,
) -> FinishedRun:
    desired, manifest = workspace.repository.desired(), workspace.repository.manifest()
    assert desired is not None  # it has a manifest
    played = {device: stream.examples for device, stream in data.streams.items()}
    fleet = Fleet(
        scenario=config.scenario,
        streams=played,
        needs=Needs.of(manifest),
        addresses=workspace.addresses,
        state_dir=workspace.devices,
    )
    with watch.stage("fleet"):
        runs = run_fleet(fleet, progress)
        every_receipt = workspace.receipts()
    receipts, follow_ups = split(every_receipt)
    with watch.stage("evaluate"):
        evaluation = evaluate(workspace.repository, played, receipts, data.calibration, follow_ups)
    return FinishedRun(
        manifest=manifest,
        version=desired.bundle_version,
        fleet=fleet,
        runs=runs,
        receipts=receipts,
        follow_ups=follow_ups,
        every_receipt=every_receipt,
        evaluation=evaluation,
        routing=routing_entry(workspace.repository),
    )


def _run_federated(
    config: RunConfig,
    workspace: Workspace,
    data: RunData,
    watch: _Stopwatch,
    progress: Progress,
) -> FinishedRun:
    # Flower reads these when it is imported, and sends usage reports unless they are set.
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")
    try:  # flwr is optional, and takes a second to import
        from nestling_sim.run.federated import LearningSetup, learn_in_rounds  # noqa: PLC0415
    except ModuleNotFoundError as err:
        raise FleetError(f"{err}; pip install 'nestling[sim,federated]'") from err
    learning = LearningSetup(
        scenario=config.scenario, data_dir=config.data_dir, data=data, workspace=workspace
    )
    with watch.stage("fleet"):
        return learn_in_rounds(learning, progress)
