import numpy as np
import pytest
import torch

from nestling.student.normalizer import Normalizer
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.tasks import Signature


@pytest.mark.parametrize("shape", [[6, 100], [1, 28, 28], [3, 5, 7]])
def test_teacher_answers_windows_and_pictures(shape: list[int]) -> None:
    signature = Signature(shape=shape, classes=["a", "b", "c", "d"])
    teacher = ConvTeacher(signature, width=4).eval()

    assert teacher(torch.zeros(2, *shape)).shape == (2, 4)


@pytest.mark.parametrize("shape", [[6], [1, 4, 4, 4]])
def test_input_of_another_rank_is_refused(shape: list[int]) -> None:
    with pytest.raises(ValueError, match="channels and one or two axes"):
        ConvTeacher(Signature(shape=shape, classes=["a"]))


def test_normalizer_makes_each_channel_of_mean_zero_and_deviation_one() -> None:
    inputs = np.random.default_rng(0).normal([[3.0], [-7.0]], [[2.0], [0.1]], (50, 2, 40))
    normalizer = Normalizer(2, 1)

    normalizer.fit(inputs.astype(np.float32))

    found = normalizer(torch.from_numpy(inputs.astype(np.float32)))
    assert found.mean((0, 2)).tolist() == pytest.approx([0, 0], abs=1e-4)
    assert found.std((0, 2)).tolist() == pytest.approx([1, 1], abs=1e-3)


def test_normalizer_is_the_identity_until_it_is_fitted() -> None:
    inputs = torch.randn(3, 2, 5, 5, generator=torch.Generator().manual_seed(0))

    assert torch.equal(Normalizer(2, 2)(inputs), inputs)


def test_channel_that_never_moves_stays_zero() -> None:
    inputs = np.full((4, 1, 8), 9.81, np.float32)
    normalizer = Normalizer(1, 1)

    normalizer.fit(inputs)

    assert normalizer(torch.from_numpy(inputs)).abs().max().item() < 1.0
