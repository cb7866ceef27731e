"""Every kind of task, from its data to graphs that answer as the trained networks do."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
import torch

from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.learning.pipeline import LearnedTask, learn
from nestling_cloud.learning.train_student import train_student
from nestling_cloud.models.default_teacher import default_teacher
from nestling_cloud.models.plain_confidence import RULE_OF_KIND
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks.examples import Splits
from nestling_cloud.tasks.task import Task
from nestling_core.execution.session import open_session
from nestling_core.kinds.kind import Kind
from nestling_core.kinds.of_signature import kind_of
from nestling_core.nest.layout import assemble
from tests.support.kind_tasks import ANOMALY, MULTI_LABEL, REGRESSION


class Learned(NamedTuple):
    task: Task
    splits: Splits
    found: LearnedTask

    @property
    def kind(self) -> Kind:
        return kind_of(self.task.signature)


@pytest.fixture(
    scope="module", params=[MULTI_LABEL, REGRESSION, ANOMALY], ids=lambda task: str(task.name)
)
def learned(request: pytest.FixtureRequest) -> Learned:
    task: Task = request.param
    splits = task.load_checked(None, 0)
    return Learned(task, splits, learn(task, splits, seed=0, progress=SilentProgress()))


def test_networks_answer_most_inputs_rightly(learned: Learned) -> None:
    assert learned.found.cloud.accuracy > 0.9
    assert learned.found.capacities[-1].accuracy > 0.6


def test_graph_gives_answers_and_the_probability_that_they_are_right(learned: Learned) -> None:
    recording = learned.splits.test[0]
    rings = [capacity.ring for capacity in learned.found.capacities]
    session = open_session(
        learned.found.capacities[-1].template, assemble(learned.found.layout, rings)
    )

    outputs, right = session.run(["logits", "right"], {"input": recording.inputs})

    kind = learned.kind
    assert outputs.shape == (len(recording), kind.student_outputs)
    assert right.shape == (len(recording), 3)
    success = kind.success(kind.answers(outputs), recording.labels)
    own = right[:, 1]
    assert own.mean() == pytest.approx(success.mean(), abs=0.2)
    sure = own >= np.median(own)
    assert success[sure].mean() >= success[~sure].mean()


def test_cloud_answers_as_it_was_measured(learned: Learned) -> None:
    calibration = learned.splits.calibration

    outputs = np.concatenate(
        [
            CloudModel("teacher", learned.found.cloud.onnx).run(part)
            for part in np.split(calibration.inputs, range(32, len(calibration), 32))
        ]
    )

    success = learned.kind.success(learned.kind.answers(outputs), calibration.labels)
    assert success.mean() == pytest.approx(learned.found.cloud.accuracy)


def test_rule_is_that_of_the_kind_and_sending_inputs_pays(learned: Learned) -> None:
    calibration = learned.found.calibration

    assert calibration.rule == RULE_OF_KIND[learned.kind.name]
    for curve in calibration.curves:
        assert not curve.HasField("filter")
        assert curve.points[-1].accuracy > curve.points[0].accuracy
        assert curve.HasField("guarantee")


@pytest.mark.parametrize("task", [MULTI_LABEL, REGRESSION, ANOMALY], ids=lambda task: task.name)
def test_early_stopping_works_with_every_kind(task: Task) -> None:
    recipe = dataclasses.replace(task.student_recipe, epochs=3, patience=1)
    patient = dataclasses.replace(task, student_recipe=recipe)
    splits = task.load_checked(None, 0)
    examples = dataclasses.replace(
        splits.train, inputs=splits.train.inputs[:128], labels=splits.train.labels[:128]
    )
    generator, progress = torch.Generator().manual_seed(0), SilentProgress()
    teacher = default_teacher(task.signature).eval()

    student = train_student(patient, teacher, examples, generator, progress)

    with torch.no_grad():
        outputs = student(torch.from_numpy(np.asarray(examples.inputs)), 2)
    assert torch.isfinite(outputs).all()
