import math

import torch

from nestling_cloud.tasks.motion import rotate, stretch


def windows(count: int = 50) -> torch.Tensor:
    return torch.randn(count, 6, 40, generator=torch.Generator().manual_seed(0))


def test_rotation_keeps_lengths_and_angles_of_both_triples() -> None:
    before = windows()

    after = rotate(before, 180.0, torch.Generator().manual_seed(1))

    for triple in (slice(0, 3), slice(3, 6)):
        assert torch.allclose(
            before[:, triple].norm(dim=1), after[:, triple].norm(dim=1), rtol=1e-4
        )
    together = (before[:, :3] * before[:, 3:]).sum(1)  # both triples rotate together
    assert torch.allclose(together, (after[:, :3] * after[:, 3:]).sum(1), atol=1e-4)


def test_rotation_angle_stays_within_its_limit() -> None:
    before = windows(500)

    after = rotate(before, 30.0, torch.Generator().manual_seed(1))

    cosine = torch.cosine_similarity(before[:, :3], after[:, :3], dim=1)
    assert cosine.min().item() >= math.cos(math.radians(30.0)) - 1e-4
    assert cosine.min().item() < 0.95  # some rotations are large


def test_rotation_keeps_left_and_right_apart() -> None:
    triples = torch.eye(3).repeat(20, 2, 1)  # three samples: x, then y, then z

    after = rotate(triples, 180.0, torch.Generator().manual_seed(2))

    assert torch.allclose(torch.linalg.det(after[:, :3]), torch.ones(20), atol=1e-5)


def test_stretching_a_ramp_changes_its_slope_within_the_bounds() -> None:
    ramp = torch.linspace(-1, 1, 41).expand(200, 6, 41)

    after = stretch(ramp, 0.2, torch.Generator().manual_seed(0))

    slope = (after[:, 0, 25] - after[:, 0, 15]) / (ramp[:, 0, 25] - ramp[:, 0, 15])
    assert 0.8 - 1e-4 <= slope.min().item() < 0.85
    assert 1.15 < slope.max().item() <= 1.2 + 1e-4
    assert after.abs().max().item() <= 1 + 1e-5  # mirrored at the ends, never beyond


def test_no_stretch_leaves_windows_as_they_are() -> None:
    before = windows()

    after = stretch(before, 0.0, torch.Generator().manual_seed(0))

    assert torch.allclose(before, after, atol=1e-4)


def test_same_generator_gives_the_same_augmentation() -> None:
    before = windows()

    first = stretch(rotate(before, 30, _seeded(4)), 0.2, _seeded(5))

    assert torch.equal(first, stretch(rotate(before, 30, _seeded(4)), 0.2, _seeded(5)))
    assert not torch.equal(first, stretch(rotate(before, 30, _seeded(6)), 0.2, _seeded(5)))


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
