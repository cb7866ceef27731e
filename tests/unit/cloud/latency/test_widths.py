import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.latency.widths import random_widths, width_steps
from nestling_cloud.tasks import Signature
from nestling_core.student.blocks import SizesError
from nestling_core.student.config import (
    StudentConfig,
    conv_student,
    deepsense_student,
    recurrent_student,
    shuffle_student,
)
from nestling_core.student.plan import plan

PICTURE = Signature(shape=[1, 8, 8], classes=["a", "b"])
WINDOW = Signature(shape=[6, 20], classes=["a", "b"])
SHUFFLED = shuffle_student(channels=(8, 16, 24), strides=(2, 1, 1), groups=2)
FAMILIES = [
    (PICTURE, conv_student(channels=(8, 12), strides=(2, 1))),
    (PICTURE, SHUFFLED),
    (WINDOW, deepsense_student(sensors=2, branch=(4, 6), fused=(8,), hidden=5)),
    (WINDOW, recurrent_student(channels=(8,), strides=(2,), hidden=6)),
]


def test_width_step_follows_groups_and_the_next_shuffle() -> None:
    # A dense and a grouped convolution, each before a shuffle, then a grouped one.
    assert width_steps(SHUFFLED) == (2, 4, 2)


@given(
    family=st.sampled_from(FAMILIES),
    count=st.integers(2, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_random_row_is_a_student_within_the_whole(
    family: tuple[Signature, StudentConfig], count: int, seed: int
) -> None:
    signature, config = family

    rows = random_widths(config, count, np.random.default_rng(seed))

    assert len(rows) == count
    assert rows[:2] == [config.whole, width_steps(config)]
    for row in rows:
        assert all(0 < width <= most for width, most in zip(row, config.whole, strict=True))
        assert plan(signature, config.narrowed(row))
        assert config.narrowed(row).widths_at(1) == row


@pytest.mark.parametrize("widths", [(8,), (8, 12, 16), (0, 12)])
def test_row_that_is_not_a_student_is_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(SizesError):
        conv_student(channels=(8, 12), strides=(2, 1)).narrowed(widths)
