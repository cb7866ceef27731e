import numpy as np
import pytest
import torch

from nestling_cloud.learning.nesting.search_space import random_widths
from nestling_core.student.config import deepsense_student


def test_random_widths_are_whole_positions_between_smallest_and_largest() -> None:
    config = deepsense_student(sensors=2, branch=(16,), fused=(64,))
    generator = torch.Generator().manual_seed(0)

    rows = np.array([random_widths(config, (4, 4), generator) for _ in range(400)])

    assert (rows.min(0).tolist(), rows.max(0).tolist()) == ([4, 4], [32, 64])
    assert (rows[:, 0] % 2 == 0).all()
    assert np.median(rows[:, 1]) == pytest.approx(16, abs=3)  # half of the octaves
