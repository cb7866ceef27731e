"""The teacher that compares windows with normal ones: what counts as near, and its limits."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.learning.check_teacher import prepare_to_serve
from nestling_cloud.learning.loop import TrainingError, seeded
from nestling_cloud.learning.train_teacher import fit_threshold, train_teacher
from nestling_cloud.models.neighbor_teacher import NeighborTeacher
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Examples, Splits, Task, concatenate, conv_student

LENGTH = 40
SIGNATURE = Signature(
    shape=[2, LENGTH],
    channels=["flow", "temperature"],
    units=["L/min", "°C"],
    classes=["normal", "anomaly"],
    kind="anomaly",
)


def recording(seed: int, *, flow: float = 0.0, windows: int = 20) -> NDArray[np.float32]:
    """Windows of a loop in one of two states, of which every recording has its temperature."""
    rng = np.random.default_rng(seed)
    state = np.where(np.arange(windows) % 2, 30.0, 120.0) * (1 + flow)
    levels = np.stack([state, np.full(windows, rng.uniform(20, 80))], 1)
    noise = rng.normal(scale=0.3, size=(windows, 2, LENGTH))
    return (levels[:, :, None] + noise).astype(np.float32)


def fitted(remembered: int = 2048) -> NeighborTeacher:
    teacher = NeighborTeacher(SIGNATURE, remembered)
    parts = [recording(seed) for seed in range(8)]
    teacher.fit(np.concatenate(parts), np.repeat(np.arange(8), 20))
    return teacher


@torch.no_grad()
def score(teacher: NeighborTeacher, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = teacher(torch.from_numpy(windows)).numpy()[:, 0]
    return found


def test_windows_unlike_any_normal_one_score_higher_than_new_normal_ones() -> None:
    teacher = fitted()

    normal, leaking = score(teacher, recording(100)), score(teacher, recording(101, flow=-0.1))

    assert normal.max() < leaking.min()


def test_statistics_that_differ_between_normal_recordings_count_less() -> None:
    teacher = fitted()
    windows = recording(3)
    warmer, faster = windows.copy(), windows.copy()
    warmer[:, 1] *= 1.05
    faster[:, 0] *= 1.05

    assert score(teacher, warmer).mean() < score(teacher, faster).mean() - 0.5


def test_teacher_remembers_some_of_many_windows() -> None:
    few = fitted(remembered=40)

    assert score(few, recording(100)).max() < score(few, recording(101, flow=-0.2)).min()


def test_only_the_named_statistics_count() -> None:
    teacher = NeighborTeacher(SIGNATURE, statistics=("level",))
    teacher.fit(np.concatenate([recording(0), recording(1)]), np.repeat([0, 1], 20))
    windows = recording(0)
    shaken = windows + np.where(np.arange(LENGTH) % 2, 9, -9).astype(np.float32)

    np.testing.assert_allclose(score(teacher, shaken), score(teacher, windows), atol=0.05)


def examples(seeds: range, flow: float) -> Examples:
    parts = [recording(seed, flow=flow) for seed in seeds]
    return concatenate(
        [Examples(inputs=p, labels=np.full(len(p), flow != 0, np.int64)) for p in parts]
    )


def task(train: Examples) -> Task:
    unseen = concatenate([examples(range(50, 53), 0.0), examples(range(53, 55), -0.1)])
    splits = Splits(train=train, calibration=unseen, test=[unseen])
    return Task(
        name="loop",
        signature=SIGNATURE,
        load=lambda _data_dir, _seed: splits,
        teacher=NeighborTeacher,
        student=conv_student(channels=(4,), strides=(2,)),
    )


def test_teacher_learns_from_normal_windows_only_and_serves_what_it_learned() -> None:
    leaking = examples(range(20, 22), -0.1)
    loop = task(concatenate([examples(range(8), 0.0), leaking]))
    splits = loop.load_checked(None, 0)

    teacher = train_teacher(loop, splits.train, seeded(0), SilentProgress())
    fit_threshold(teacher, splits.calibration)
    cloud, logits = prepare_to_serve(loop, teacher, splits.calibration)

    assert cloud.accuracy == 1.0
    assert ((logits[:, 0] > 0) == (splits.calibration.labels == 1)).all()


def test_too_few_recordings_are_said_with_numbers() -> None:
    loop = task(examples(range(1), 0.0))
    splits = loop.load_checked(None, 0)

    with pytest.raises(TrainingError, match="20 normal windows of 1 recordings are too few"):
        train_teacher(loop, splits.train, seeded(0), SilentProgress())
