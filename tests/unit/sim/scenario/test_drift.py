import numpy as np
import pytest

from nestling_cloud.tasks import Examples
from nestling_sim.scenario.drift import Drift, DriftError, draw, drifted

NO_TURN = np.eye(3)


def windows(channels: int = 6, length: int = 50) -> Examples:
    time = np.linspace(0, 1, length)
    inputs = np.stack([np.sin(2 * np.pi * (k + 1) * time) for k in range(channels)])
    return Examples(inputs=inputs[None].astype(np.float32), labels=np.zeros(1, np.int64))


def test_rotation_is_the_same_for_both_triples_and_keeps_their_length() -> None:
    given = windows()
    drift = draw(60.0, 0.0, np.random.default_rng(1))

    found = drifted(given, drift).inputs

    for triple in (slice(0, 3), slice(3, 6)):
        expected = drift.turn @ given.inputs[0, triple]
        assert np.allclose(found[0, triple], expected, atol=1e-6)
        assert np.allclose(
            np.linalg.norm(found[0, triple], axis=0),
            np.linalg.norm(given.inputs[0, triple], axis=0),
            atol=1e-5,
        )


@pytest.mark.parametrize("degrees", [0.0, 45.0, 180.0])
def test_rotation_has_the_given_angle(degrees: float) -> None:
    turn = draw(degrees, 0.0, np.random.default_rng(2)).turn

    cosine = (np.trace(turn) - 1) / 2
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))) == pytest.approx(degrees, abs=1e-3)
    assert np.allclose(turn @ turn.T, np.eye(3))


def test_speed_resamples_windows_about_their_middle() -> None:
    given = windows(channels=1)

    found = drifted(given, Drift(turn=NO_TURN, speed=0.5)).inputs[0, 0]

    position = 24.5 + (np.arange(50) - 24.5) * 0.5
    expected = np.interp(position, np.arange(50), given.inputs[0, 0])
    assert np.allclose(found, expected, atol=1e-5)


def test_faster_window_is_mirrored_at_its_ends() -> None:
    ramp = Examples(inputs=np.arange(5, dtype=np.float32)[None, None], labels=np.zeros(1, np.int64))

    found = drifted(ramp, Drift(turn=NO_TURN, speed=2.0)).inputs[0, 0]

    assert found.tolist() == [2, 0, 2, 4, 2]


def test_no_drift_changes_nothing() -> None:
    given = windows()

    found = drifted(given, draw(0.0, 0.0, np.random.default_rng(3)))

    assert np.array_equal(given.inputs, found.inputs)


def test_same_seed_draws_the_same_drift() -> None:
    one, again = (draw(30.0, 0.2, np.random.default_rng([7, 1])) for _ in range(2))

    assert np.array_equal(one.turn, again.turn)
    assert one.speed == again.speed
    assert 0.8 <= one.speed <= 1.2


def test_channels_that_do_not_form_triples_cannot_be_rotated() -> None:
    with pytest.raises(DriftError, match="2 channels do not form triples to rotate"):
        drifted(windows(channels=2), draw(10.0, 0.0, np.random.default_rng(0)))


def test_pictures_cannot_be_played_faster() -> None:
    picture = Examples(inputs=np.zeros((1, 3, 4, 4), np.float32), labels=np.zeros(1, np.int64))

    with pytest.raises(DriftError, match="no time axis"):
        drifted(picture, Drift(turn=NO_TURN, speed=1.1))
