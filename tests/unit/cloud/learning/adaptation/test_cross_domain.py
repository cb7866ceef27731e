import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nestling_cloud.learning.adaptation import (
    AdaptationConfig,
    AdaptationError,
    AdaptedNetworks,
    Comparison,
    Frame,
    FramedTeacher,
    adapt,
    compare,
    recovered_share,
)
from nestling_cloud.learning.adaptation.cross_domain import training_set
from nestling_cloud.learning.adaptation.sensor_frame import turn
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Examples, Recipe, Task
from nestling_cloud.tasks.domains import Domains
from tests.support.pitch_teacher import FLIP, MIRRORED, SAME, Matcher, mirrored
from tests.support.tiny_task import LENGTH, TINY_TASK, tones

TASK = dataclasses.replace(TINY_TASK, student_recipe=Recipe(epochs=12, batch=64))
QUICK = dataclasses.replace(TINY_TASK, student_recipe=Recipe(epochs=1, batch=64))
CONFIG = AdaptationConfig(frames=(SAME, MIRRORED))


DOMAINS = Domains(
    source=tones(256, 1),
    target=mirrored(tones(256, 2)),
    calibration=mirrored(tones(64, 3)),
    test=mirrored(tones(256, 4)),
)


def adapted(
    target: NDArray[np.float32],
    *,
    task: Task = QUICK,
    config: AdaptationConfig = CONFIG,
    seed: int = 0,
) -> AdaptedNetworks:
    return adapt(
        task, Matcher(), DOMAINS.source, target, config, seed=seed, progress=SilentProgress()
    )


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(
        TASK,
        DOMAINS,
        source_teacher=Matcher(),
        target_teacher=KnowsBoth(),
        config=CONFIG,
        seed=0,
        progress=SilentProgress(),
    )


class KnowsBoth(Matcher):
    """Recognizes the pitches of both domains."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.maximum(super().forward(x), super().forward(x * torch.tensor(FLIP)))


def test_mirrored_domain_is_learned_without_its_labels(comparison: Comparison) -> None:
    assert comparison.source_only[-1] < 0.6  # a third by chance
    assert comparison.adapted[-1] > 0.8
    assert recovered_share([comparison])[-1] > 0.5
    assert comparison.gain > 0.1


def test_comparison_has_every_capacity(comparison: Comparison) -> None:
    lengths = {
        len(found)
        for found in (comparison.source_only, comparison.adapted, comparison.target_trained)
    }
    assert lengths == {TASK.student.capacities}


def test_recovered_share_is_that_of_the_mean_gap() -> None:
    first = Comparison(source_only=(0.2,), adapted=(0.7,), target_trained=(0.8,), gain=0.1)
    second = Comparison(source_only=(0.4,), adapted=(0.5,), target_trained=(0.8,), gain=0.1)

    assert recovered_share([first, second]) == pytest.approx([(0.6 - 0.3) / (0.8 - 0.3)])


def test_labels_of_the_target_do_not_change_the_adapted_student() -> None:
    target = DOMAINS.target
    wrong = Examples(inputs=target.inputs, labels=np.zeros_like(target.labels))

    right_way, wrong_way = (
        compare(
            QUICK,
            dataclasses.replace(DOMAINS, target=labeled),
            source_teacher=Matcher(),
            target_teacher=KnowsBoth(),
            config=CONFIG,
            seed=0,
            progress=SilentProgress(),
        )
        for labeled in (target, wrong)
    )

    assert right_way.adapted == wrong_way.adapted
    assert right_way.source_only == wrong_way.source_only
    assert right_way.target_trained != wrong_way.target_trained


def test_same_seed_gives_the_same_student_and_another_seed_another() -> None:
    target = DOMAINS.target.inputs[:128]
    weights = [adapted(target, seed=seed).student.head for seed in (0, 0, 1)]

    assert torch.equal(weights[0], weights[1])
    assert not torch.allclose(weights[0], weights[2])


def test_adapted_teacher_accepts_target_inputs_as_recorded() -> None:
    result = adapted(DOMAINS.target.inputs[:128])

    answers = result.teacher(torch.from_numpy(DOMAINS.test.inputs)).argmax(1).numpy()
    assert result.choice.frame == MIRRORED
    assert (answers == DOMAINS.test.labels).mean() > 0.9


def test_without_frames_the_inputs_stay_as_they_are() -> None:
    result = adapted(DOMAINS.target.inputs[:128], config=AdaptationConfig())

    assert result.choice.frame == SAME


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (np.zeros((0, 2, LENGTH), np.float32), "0 target inputs are too few; record"),
        (np.zeros((1, 2, LENGTH), np.float32), "1 target inputs are too few; record"),
        (np.zeros((9, 3, LENGTH), np.float32), r"float32 \(9, 3, 16\), the signature asks for"),
        (np.zeros((9, 2, LENGTH)), "target inputs are float64"),
        (
            np.full((9, 2, LENGTH), np.nan, np.float32),
            "some target inputs are not finite; remove them",
        ),
    ],
)
def test_target_that_does_not_fit_the_task_is_refused(
    target: NDArray[np.float32], message: str
) -> None:
    with pytest.raises(AdaptationError, match=message):
        adapted(target)


@pytest.mark.parametrize("frame", [((1.0,),), ((1.0, 0.0), (1.0, 0.0))])
def test_frame_that_does_not_fit_or_cannot_be_inverted_is_refused(frame: Frame) -> None:
    with pytest.raises(AdaptationError, match="invertible matrix of 2 x 2 channels"):
        adapted(DOMAINS.target.inputs[:], config=AdaptationConfig(frames=(SAME, frame)))


def test_training_set_is_the_transformed_source_then_the_pseudo_labeled_target() -> None:
    bent: Frame = ((0.0, 2.0), (-1.0, 1.0))  # not its own inverse
    teacher = FramedTeacher(Matcher(), bent)
    source, target = DOMAINS.source, DOMAINS.target.inputs

    examples = training_set(teacher, source, target)

    count = len(source)
    first, answers = torch.from_numpy(examples.inputs[:count]), examples.labels[count:]
    assert np.allclose(turn(first, torch.tensor(bent)).numpy(), source.inputs, atol=1e-5)
    assert np.array_equal(examples.labels[:count], source.labels)
    assert np.array_equal(examples.inputs[count:], target)
    assert np.array_equal(teacher(torch.from_numpy(target)).argmax(1).numpy(), answers)
