import math

import torch

from nestling_cloud.tasks.sounds import (
    add_noise,
    change_level,
    change_speed,
    filter_tone,
    mute,
    shift,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sounds(count: int = 200, length: int = 400) -> torch.Tensor:
    return torch.randn(count, 1, length, generator=seeded(7))


def test_shift_moves_all_samples_within_the_bounds() -> None:
    before = torch.zeros(300, 1, 101)
    before[:, 0, 50] = 1.0

    after = shift(before, 10, seeded())

    assert torch.equal(after.sum(2), torch.ones(300, 1))
    places = set(after.argmax(2).flatten().tolist())
    assert places == set(range(40, 61))


def test_samples_that_leave_by_a_shift_do_not_come_back() -> None:
    before = torch.ones(300, 1, 20)

    after = shift(before, 5, seeded())

    assert set(after.sum(2).flatten().tolist()) == {15.0, 16.0, 17.0, 18.0, 19.0, 20.0}


def test_speed_changes_the_pitch_within_the_bounds_and_about_the_middle() -> None:
    places = torch.linspace(-1, 1, 401)  # a ramp: its slope is the speed
    ramp = places.expand(300, 1, 401)

    after = change_speed(ramp, 0.2, seeded())

    slope = (after[:, 0, 210] - after[:, 0, 190]) / (places[210] - places[190])
    assert 0.8 - 1e-3 <= slope.min().item() < 0.82
    assert 1.18 < slope.max().item() <= 1.2 + 1e-3
    assert after[:, 0, 200].abs().max().item() < 1e-5
    fast = after[slope > 1.1]
    assert torch.equal(fast[:, 0, 0], torch.zeros(len(fast)))  # beyond the end there is silence


def test_no_change_of_speed_leaves_sounds_as_they_are() -> None:
    before = sounds()

    assert torch.allclose(before, change_speed(before, 0.0, seeded()), atol=1e-5)


def test_level_changes_by_at_most_the_decibels() -> None:
    before = sounds()

    after = change_level(before, 6.0, seeded())

    decibels = 20 * torch.log10(after.norm(dim=2) / before.norm(dim=2))
    assert -6.001 <= decibels.min().item() < -5
    assert 5 < decibels.max().item() <= 6.001


def test_filter_changes_frequencies_by_at_most_the_decibels_and_differently() -> None:
    before = sounds()

    after = filter_tone(before, 6.0, seeded())

    gain = torch.fft.rfft(after).abs() / torch.fft.rfft(before).abs()
    decibels = 20 * torch.log10(gain)
    assert decibels.abs().max().item() <= 6.01
    assert (decibels.amax(2) - decibels.amin(2)).min().item() > 1
    assert decibels.diff(dim=2).abs().max().item() < 1  # smooth


def test_muted_interval_is_silent_and_the_rest_unchanged() -> None:
    before = torch.rand(400, 1, 100, generator=seeded(1)) + 0.1

    after = mute(before, 30, seeded())

    silent = after == 0
    assert torch.equal(after[~silent], before[~silent])
    sizes = silent.sum(2).flatten()
    assert 0.4 < (sizes > 0).float().mean().item() < 0.6
    assert 25 < sizes.max().item() <= 30
    edges = silent.float().diff(dim=2).abs().sum(2)
    assert edges.max().item() <= 2  # one interval


def test_noise_lies_between_its_two_levels() -> None:
    before = torch.zeros(300, 1, 2000)
    before[:, :, 1000] = 0.5  # the peak

    noise = add_noise(before, 20.0, 40.0, seeded()) - before

    decibels = 20 * torch.log10(noise.std(dim=2) / 0.5)
    assert -40.5 < decibels.min().item() < -38
    assert -22 < decibels.max().item() < -19.5


def test_silence_stays_silent() -> None:
    silence = torch.zeros(3, 1, 100)

    for changed in (
        shift(silence, 5, seeded()),
        change_speed(silence, 0.2, seeded()),
        change_level(silence, 6.0, seeded()),
        filter_tone(silence, 6.0, seeded()),
        mute(silence, 5, seeded()),
        add_noise(silence, 20.0, 40.0, seeded()),
    ):
        assert torch.equal(changed, silence)


def test_same_seed_gives_the_same_sounds() -> None:
    before = sounds()

    once, again = (add_noise(filter_tone(before, 6.0, g), 20, 40, g) for g in (seeded(), seeded()))

    assert torch.equal(once, again)
    assert math.isfinite(once.sum().item())
