"""Measures what inputs take on the wire, and what the teacher's answers to test inputs lose."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.bundles.cache import trained_repository
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.cloud_model.check import run_in_batches
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.examples import Examples, concatenate
from nestling_cloud.tasks.task import Task
from nestling_core.belief.evidence import softmax
from nestling_core.wire import forms
from nestling_core.wire.choice import best_form


@dataclass(frozen=True, kw_only=True)
class FormResult:
    """The results of one wire form, on test inputs.

    Attributes:
        name: the form's name.
        payload_bytes: the mean size of an input without framing.
        lost: the accuracy that the teacher's answers lose against plain float32, in points.
        changed: the share of answers that change, %.
        lost_probability: the probability of the true class that is lost, in points.
        calibration_lost: the same on calibration inputs, as the bundle states it, in points.
    """

    name: str
    payload_bytes: float
    lost: float
    changed: float
    lost_probability: float
    calibration_lost: float


@dataclass(frozen=True, kw_only=True)
class PayloadResult:
    """The results of one task and seed.

    Attributes:
        task: the name of the task.
        used: the form that devices use.
        forms: the results of all forms, the first of which is "fp32".
    """

    task: str
    used: str
    forms: Sequence[FormResult]

    def of(self, name: str) -> FormResult:
        """Return the results of a form."""
        return next(form for form in self.forms if form.name == name)


def measure_payloads(task: Task, seed: int, cache: Path, progress: Progress) -> PayloadResult:
    """Return the results of one task and seed, with the bundle from the cache or after training.

    Args:
        task: the task.
        seed: the seed of the data and the training.
        cache: the folder for trained bundles.
        progress: the progress display of the training.
    """
    splits = task.load_checked(None, seed)
    repository = Repository(
        trained_repository(task, splits, seed=seed, progress=progress, cache=cache)
    )
    manifest = repository.manifest()
    model = CloudModel(manifest.cloud.name, repository.read_model(manifest.cloud))
    return PayloadResult(
        task=task.name,
        used=best_form(manifest, forms.WIRE_NAMES).name,
        forms=_results(manifest, model, concatenate(splits.test)),
    )


def _results(manifest: Manifest, model: CloudModel, test: Examples) -> list[FormResult]:
    shape = test.inputs.shape[1:]
    shown = softmax(run_in_batches(model, test.inputs))
    plain, each = shown.argmax(axis=1), np.arange(len(test))
    accuracy = (plain == test.labels).mean()
    found = []
    for form in manifest.cloud.wire_forms:
        payloads = [forms.encode(form, window) for window in test.inputs]
        name = forms.wire_name(form.name)
        decoded = np.stack([forms.decode(name, payload, shape) for payload in payloads])
        made = softmax(run_in_batches(model, decoded))
        answers, lost = made.argmax(axis=1), shown[each, test.labels] - made[each, test.labels]
        found.append(
            FormResult(
                name=form.name,
                payload_bytes=float(np.mean([len(payload) for payload in payloads])),
                lost=float(100 * (accuracy - (answers == test.labels).mean())),
                changed=float(100 * (answers != plain).mean()),
                lost_probability=float(100 * lost.mean()),
                calibration_lost=100 * form.lost,
            )
        )
    return found
