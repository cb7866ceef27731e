"""Turns audits into evidence by betting.

A bet against a statement is a wealth that starts at 1 and cannot grow on average while the
statement is true. By Ville's inequality, the probability that it ever reaches x is at most 1 / x.
After every block of audits, a wealth is multiplied by 1 + stake * payoff. Nobody knows in advance
which stake is best. Several fixed stakes are therefore played side by side, and their mean wealth
is the evidence.

Certifying bets are placed against the statement "the risk of this threshold exceeds the tolerated
risk". Alarm bets are placed against the statement "the risk of the threshold in use is at most the
tolerated risk". If the wealth of an alarm bet has fallen below 1, it is reset to 1 before the next
block, so that a change is noticed whenever it happens (e-CUSUM, Shin, Ramdas & Rinaldo 2022).
"""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

# For each certifying stake, the risk, in units of the tolerated one, at which it would be optimal.
_CERTIFYING = np.array([0.0, 0.125, 0.25, 0.5, 0.75])
# The same for the alarm stakes.
_ALARMING = np.array([1.5, 2.0, 4.0, 8.0])
# More wealth proves nothing more, and its product might overflow.
_MOST = 1e12
_ROUNDS = 20
# Mean wealth of the alarm bets at which the alarm goes off: without cause, it takes at least as
# many blocks on average.
_ALARM = 1000.0


def no_evidence(thresholds: int) -> Doubles:
    """Return the wealth of the certifying bets at the start, (T, stakes)."""
    return np.ones((thresholds, len(_CERTIFYING)))


def no_suspicion() -> Doubles:
    """Return the wealth of the alarm bets at the start, (stakes,)."""
    return np.ones(len(_ALARMING))


def with_payoffs(evidence: Doubles, payoffs: Doubles, risk: float | Doubles) -> Doubles:
    """Return the wealth of the certifying bets after a block.

    Args:
        evidence: the wealth before the block, (..., T, stakes).
        payoffs: for each threshold, the mean payoff of the block's audits, (..., T). An audit pays
            0 if the threshold does not keep the answer. Otherwise it pays the tolerated risk, minus
            1 if the cloud changes the answer.
        risk: the tolerated risk, above 0 and below 1; a number, or one for each threshold, (T,).
    """
    stakes = (1 - _CERTIFYING) / (1 - np.asarray(risk)[..., None])
    grown: Doubles = np.clip(evidence * (1 + stakes * payoffs[..., None]), 0, _MOST)
    return grown


def proves(evidence: Doubles, delta: float) -> NDArray[np.bool_]:
    """Return which thresholds are proven to stay within the tolerated risk, (..., T).

    Each threshold is tested with half of delta, as if calibration inputs had suggested it.

    Args:
        evidence: the wealth of the certifying bets, (..., T, stakes).
        delta: the tolerated probability that any threshold is certified whose risk is too high.
    """
    found: NDArray[np.bool_] = evidence.mean(axis=-1) >= 2 / delta
    return found


def blocks_until_proof(payoffs: Doubles, risk: float, delta: float) -> Doubles:
    """Return the number of blocks until each threshold is proven, if all have equal payoffs, (T,).

    A threshold counts as proven if `proves` says so. The number is infinite if the payoff is 0 or
    less.

    Args:
        payoffs: the mean payoff of every block for each threshold, as in `with_payoffs`, (T,).
        risk: the tolerated risk, above 0 and below 1.
        delta: the tolerated probability that any threshold is certified whose risk is too high.
    """
    stakes = (1 - _CERTIFYING) / (1 - risk)
    found = np.full(len(payoffs), np.inf)
    paying = payoffs > 0
    growth = np.log1p(stakes * payoffs[paying, None])
    # The wealth of the best stake alone, and its part of the mean.
    low = np.log(2 / delta) / growth.max(axis=1)
    high = np.log(2 / delta * len(stakes)) / growth.max(axis=1)
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        enough = proves(np.exp(growth * middle[:, None]), delta)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    found[paying] = high
    return found


def with_excess(suspicion: Doubles, excess: float, risk: float) -> Doubles:
    """Return the wealth of the alarm bets after a block.

    Args:
        suspicion: the wealth before the block, (stakes,).
        excess: the mean excess of the block's audits. An audit counts as 0 if the threshold in use
            does not keep the answer. Otherwise it counts as 1 - risk if the cloud changes the
            answer, and as -risk if it does not.
        risk: the tolerated risk, above 0 and below 1.
    """
    suspected = np.minimum(risk * _ALARMING, max(0.95, (1 + risk) / 2))
    stakes = (suspected - risk) / (risk * (1 - risk))
    grown: Doubles = np.minimum(np.maximum(suspicion, 1) * (1 + stakes * excess), _MOST)
    return grown


def alarms(suspicion: Doubles) -> bool:
    """Return whether to raise the alarm that the threshold in use exceeds the tolerated risk.

    While the risk is not exceeded, an alarm comes at most once in 1000 blocks on average.

    Args:
        suspicion: the wealth of the alarm bets, (stakes,).
    """
    return bool(suspicion.mean() >= _ALARM)
