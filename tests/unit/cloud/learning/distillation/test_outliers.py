"""Inputs that are made unusual: how far they are from what they were."""

import numpy as np
import torch

from nestling_cloud.learning.distillation.outliers import outliers, with_outliers


def test_changes_are_of_every_order_of_magnitude() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(4000, 1, 16, generator=generator)

    changes = (outliers(inputs, generator) - inputs).abs().mean((1, 2)).numpy()
    changed = np.log10(changes[changes > 1e-6])

    counts, _ = np.histogram(changed, bins=[-3, -2, -1, 0, 1])
    assert (counts > 150).all()


def test_half_of_the_inputs_stay_as_they_are() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(1000, 2, 16, generator=generator)

    found = with_outliers(lambda given, _: given)(inputs, generator)

    same = (found == inputs).all(2).all(1).float().mean()
    assert 0.45 < same < 0.8
