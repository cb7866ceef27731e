"""Runs federated rounds on the server's side, as a Flower ServerApp.

The app runs on the machine that has the repository, either in the simulator's process or in a
process that a SuperLink starts.
"""

import dataclasses
import logging
import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp

from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.bundles.release import release_bundle
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.errors import CloudError
from nestling_cloud.federated.array_records import arrays_in, record_of
from nestling_cloud.federated.cloud_check import client_accuracy, with_clients
from nestling_cloud.federated.ensemble import EnsembleRecipe, distil_ensemble, teacher_logits
from nestling_cloud.federated.release_gate import Margins, Verdict, judge
from nestling_cloud.federated.round_log import Round, RoundLog
from nestling_cloud.federated.run_config import RunConfig
from nestling_cloud.federated.strategy import NestedAveraging, RoundBase, Rules
from nestling_cloud.federated.update_checks import HeldOutComparison
from nestling_cloud.learning.check_teacher import LearnedCloud
from nestling_cloud.learning.input_tensors import split, tensors_of
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.pipeline import LearnedTask, finish
from nestling_cloud.progress import Progress, SilentProgress
from nestling_cloud.tasks.examples import Examples, Splits
from nestling_cloud.tasks.loader import load_task
from nestling_cloud.tasks.quick import quick_task
from nestling_cloud.tasks.single_label import require_single_label
from nestling_cloud.tasks.task import Task
from nestling_core.student.messages import LocalRecipe
from nestling_core.student.network import NestedStudent
from nestling_core.student.weights import Arrays, WeightsError, arrays_of, read_arrays, student_of

app = ServerApp()


class NotReleasedError(CloudError):
    """Raised when the result of the rounds is not released; the text says why."""


class CheckpointError(CloudError):
    """Raised when the bundle belongs to another task, or its checkpoint does not fit the task."""


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds and release the result.

    Args:
        grid: Flower's connection to the clients.
        context: Flower's context, with the run configuration.

    Raises:
        NotReleasedError: nothing is released. Flower then reports the run as failed.
    """
    run_rounds(grid, RunConfig.of(context.run_config), SilentProgress())


def run_rounds(grid: Grid, config: RunConfig, progress: Progress) -> str:
    """Run federated rounds and release their result as the next bundle.

    After the rounds, the student is distilled from the teacher and the clients' models and then
    quantized, and the multiplexer is fitted again. The result is released only if it loses
    no more accuracy than `config` allows. The table of rounds records the outcome.

    Args:
        grid: Flower's connection to the clients.
        config: the options of the run.
        progress: the progress display, advanced once per epoch of the cloud's own training.

    Returns:
        The version of the released bundle.

    Raises:
        NotReleasedError: no round had enough valid updates, no client reported its accuracy on
            held-out data, the result loses more accuracy than the margins allow, or another bundle
            was released in the meantime.
        CloudError: the bundle, its checkpoint or the task's data is missing or invalid, or the
            cloud's own training fails.
    """
    logging.getLogger("flwr").setLevel(logging.WARNING)  # the table of rounds has more
    with RoundLog(config.store) as log:
        run = _Run(grid, config, log, progress)
        try:
            run.rounds()
            released = run.release()
        except CloudError as err:
            run.settle(None, str(err))
            raise
        run.settle(released, run.verdict)
        return released


class _Run:
    def __init__(self, grid: Grid, config: RunConfig, log: RoundLog, progress: Progress) -> None:
        self._grid = grid
        self._config = config
        self._log = log
        self._progress = progress
        self._name = config.run or secrets.token_hex(8)
        self.verdict = ""
        self._latest: Round | None = None
        self._repository = Repository(Path(config.repository))
        self._manifest = self._repository.manifest()
        desired = self._repository.desired()
        assert desired is not None  # it has a manifest
        self._version = desired.bundle_version
        self._task, self._splits = _task(config, self._manifest)
        self._initial = _checkpoint(self._repository, self._version, self._task)
        base = RoundBase(
            signature=self._manifest.signature,
            student=self._task.student,
            bundle_version=self._version,
        )
        self._strategy = NestedAveraging(base, _rules(config))
        self._whole: Arrays = self._initial

    def rounds(self) -> None:
        """Run the rounds, and record each round when it ends.

        Raises NotReleasedError if no round had enough valid updates.
        """
        result = self._strategy.start(
            self._grid,
            record_of(self._initial),
            num_rounds=self._config.rounds,
            timeout=self._config.timeout_s,
            evaluate_fn=self._record,
        )
        if not result.arrays:
            raise NotReleasedError(
                f"not released: no round had {self._config.min_clients} usable updates, so the "
                "model has not changed; the table of rounds says why each client was dropped"
            )
        self._whole = arrays_in(result.arrays)

    def release(self) -> str:
        """Release the result of the rounds as the next bundle and return the bundle's version.

        Raises NotReleasedError if the result loses too much accuracy, or if another bundle was
        released during the run.
        """
        candidate, student = self._learn()
        # The student now has the quantized weights of the bundle.
        comparisons = self._strategy.ask(self._grid, self._initial, arrays_of(student))
        verdict = self._judge(candidate, comparisons)
        self.verdict = verdict.reason
        if not verdict.release:
            raise NotReleasedError(f"not released: {verdict.reason}")
        current = self._repository.desired()
        if current is None or current.bundle_version != self._version:
            raise NotReleasedError(
                "not released: another bundle was released during the run; run the rounds again"
            )
        calibration = with_clients(candidate.calibration, client_accuracy(comparisons))
        released = release_bundle(
            self._repository,
            self._task,
            dataclasses.replace(candidate, calibration=calibration),
            release=self._manifest.release + 1,
        )
        return released.bundle_version

    def settle(self, released: str | None, verdict: str) -> None:
        """Record the outcome of the run in the entry of its last round.

        A run without any round is not recorded.

        Args:
            released: the version of the released bundle, or None if none was released.
            verdict: the reason why a bundle was released, or why not.
        """
        if self._latest is None:
            return
        # Taken again, because comparing the candidate sent more bytes and may have dropped clients.
        last = self._strategy.tally.entry(self._name, self._version, self._latest.accuracy)
        self._log.put(dataclasses.replace(last, released=released, verdict=verdict))

    def _learn(self) -> tuple[LearnedTask, NestedStudent]:
        config = self._config
        onnx = self._repository.read_model(self._manifest.cloud)
        student = distil_ensemble(
            self._task,
            self._whole,
            self._strategy.updates,
            onnx,
            self._splits.train,
            recipe=EnsembleRecipe(client_weight=config.client_weight),
            generator=seeded(config.seed),
            progress=self._progress,
        )
        unseen = self._splits.calibration
        logits = teacher_logits(onnx, unseen.inputs)
        cloud = LearnedCloud(
            onnx=onnx,
            macs=self._manifest.cloud.macs,
            accuracy=float((logits.argmax(axis=1) == unseen.labels).mean()),
            wire_forms=self._manifest.cloud.wire_forms,
        )
        candidate = finish(
            self._task,
            self._splits,
            student,
            cloud,
            logits,
            seed=config.seed,
            progress=self._progress,
        )
        return candidate, student

    def _judge(self, candidate: LearnedTask, comparisons: Sequence[HeldOutComparison]) -> Verdict:
        return judge(
            [entry.accuracy for entry in self._manifest.capacities],
            [entry.accuracy for entry in candidate.capacities],
            comparisons,
            Margins(
                calibration=self._config.calibration_margin, clients=self._config.client_margin
            ),
        )

    def _record(self, number: int, arrays: ArrayRecord) -> MetricRecord | None:
        if number == 0:  # Flower also calls this before the first round
            return None
        student = student_of(self._task.signature, self._task.student, arrays_in(arrays))
        accuracy = _accuracies(student, self._splits.calibration)
        self._latest = self._strategy.tally.entry(self._name, self._version, accuracy)
        self._log.put(self._latest)
        return None


def _rules(config: RunConfig) -> Rules:
    return Rules(
        min_clients=config.min_clients,
        recipe=LocalRecipe(epochs=config.local_epochs),
        timeout_s=config.timeout_s,
        wait_s=config.wait_s,
        seed=config.seed,
    )


def _task(config: RunConfig, manifest: Manifest) -> tuple[Task, Splits]:
    task = load_task(config.task)
    require_single_label(task, "federated learning")
    if task.name != manifest.task:
        raise CheckpointError(
            f"the repository has a bundle of task {manifest.task!r}, but {config.task!r} is task "
            f"{task.name!r}; name the task that the bundle was trained for"
        )
    if manifest.quick:  # what is learned from a quick bundle is quick, too
        task = quick_task(task)
    data_dir = Path(config.data_dir) if config.data_dir else None
    return task, task.load_checked(data_dir, config.seed)


def _checkpoint(repository: Repository, version: str, task: Task) -> Arrays:
    path = repository.checkpoint_path(version)
    try:
        arrays = read_arrays(repository.read_checkpoint(version))
        student_of(task.signature, task.student, arrays)
    except WeightsError as err:
        raise CheckpointError(
            f"{path} is not a checkpoint of {task.name}: {err}; train and release the bundle again"
        ) from err
    return arrays


@torch.no_grad()
def _accuracies(student: NestedStudent, examples: Examples) -> tuple[float, ...]:
    inputs = tensors_of(examples.inputs)
    answers = (
        torch.cat([student(part, capacity).argmax(1) for part in split(inputs, 512)]).numpy()
        for capacity in range(1, student.config.capacities + 1)
    )
    return tuple(float(np.mean(answer == examples.labels)) for answer in answers)
