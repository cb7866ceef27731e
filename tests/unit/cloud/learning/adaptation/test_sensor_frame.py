import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nestling_cloud.learning.adaptation import FramedTeacher, choose_frame, inertial_frames
from nestling_cloud.learning.adaptation.sensor_frame import turn


def test_inertial_frames_reverse_every_subset_of_axes_starting_with_none() -> None:
    frames = inertial_frames()

    signs = {tuple(np.diag(frame)[:3]) for frame in frames}
    assert len(frames) == 8
    assert signs == set(itertools.product((1.0, -1.0), repeat=3))
    assert np.array_equal(np.eye(6), frames[0])


@settings(deadline=None)
@given(st.integers(0, 7), st.integers(0, 1000))
def test_angular_rate_transforms_like_the_cross_product_of_two_polar_vectors(
    index: int, seed: int
) -> None:
    frame = np.array(inertial_frames()[index])
    polar, axial = frame[:3, :3], frame[3:, 3:]
    rng = np.random.default_rng(seed)
    radius, velocity = rng.normal(size=(2, 3))

    seen = np.cross(polar @ radius, polar @ velocity)

    assert np.allclose(axial @ np.cross(radius, velocity), seen)


def test_turn_mixes_channels_of_windows_and_of_images() -> None:
    swap = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    windows = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])

    assert turn(windows, swap).tolist() == [[[3.0, 4.0], [-1.0, -2.0]]]
    assert turn(windows[..., None], swap).shape == (1, 2, 2, 1)


class Signed(nn.Module):
    """Classifies by the sign of the first channel; not confident if the second is negative."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x.mean(2).unbind(1)
        known = torch.relu(second)
        return 9 * torch.stack([first * known, -first * known], 1)


FRAMES = tuple(((a, 0.0), (0.0, b)) for a in (1.0, -1.0) for b in (1.0, -1.0))


def windows(second: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    first = np.where(np.arange(40) % 2, 1.0, -1.0)
    pairs = np.stack([first, np.full(40, second)], 1)
    return np.repeat(pairs[:, :, None], 4, axis=2).astype(np.float32)


def test_chosen_frame_makes_the_teacher_confident_and_gives_both_classes() -> None:
    mirrored = windows(-1.0)

    choice = choose_frame(Signed(), mirrored, [FRAMES[0], FRAMES[1]])

    assert choice.frame == FRAMES[1]
    assert choice.gain > 0.5
    answers = FramedTeacher(Signed(), choice.frame)(torch.from_numpy(mirrored)).argmax(1)
    assert answers.tolist() == [1, 0] * 20


def test_first_frame_is_kept_unless_another_is_clearly_better() -> None:
    barely_better = ((1.01, 0.0), (0.0, 1.0))

    choice = choose_frame(Signed(), windows(0.2), [FRAMES[0], barely_better])

    assert choice.frame == FRAMES[0]
    assert choice.gain == 0.0


def test_single_frame_is_chosen_regardless_of_the_answers() -> None:
    choice = choose_frame(Signed(), windows(1.0), [FRAMES[3]])

    assert choice.frame == FRAMES[3]
    assert choice.gain == 0.0
