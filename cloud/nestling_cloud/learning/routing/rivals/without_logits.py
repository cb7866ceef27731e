"""Holds routers that rank inputs without the student's logits."""

import numpy as np

from nestling_cloud.learning.routing.rivals.trial import Doubles, Trial, Urgency

# Ianvs sends an input to the cloud where any of these limits is passed.
_HOT_CELSIUS, _LOW_BATTERY, _BUSY, _FULL = 75.0, 20.0, 85.0, 85.0


def at_random(known: Trial, seed: int) -> Urgency:
    """Return a rule that ranks inputs at random.

    Args:
        known: some inputs, which are not used.
        seed: the random seed for the ranking.
    """
    del known
    rng = np.random.default_rng(seed)
    return lambda trial: rng.random(len(trial))


def oracle(trial: Trial) -> Doubles:
    """Return the urgency of each input, which depends on who answers it correctly, (N,).

    It is 1 if only the cloud is right, -1 if only the device is right, and 0 otherwise.
    """
    urgency: Doubles = trial.cloud.astype(np.float64) - trial.device
    return urgency


def resource_sensitive(trial: Trial) -> Doubles:
    """Return the urgency of each input, which depends only on the state of the device, (N,).

    It is 1 if the device is hot, low on battery, busy or low on memory, and 0 otherwise. It is also
    0 if the state is not known.
    """
    if trial.resources is None:
        return np.zeros(len(trial))
    state = trial.resources
    pressed = (
        (state.celsius > _HOT_CELSIUS)
        | (state.battery < _LOW_BATTERY)
        | (state.processor > _BUSY)
        | (state.memory > _FULL)
    )
    return pressed.astype(np.float64)
