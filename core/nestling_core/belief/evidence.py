"""Turns the outputs of a model into the class probabilities that the stream filter expects."""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

# A probability of 0 or 1 could never be corrected by later evidence.
_SMALLEST = 1e-4
# Ratio of the probability of a capacity's answer to the next largest one, at least.
_AHEAD = 1 + 1e-9


def softmax(logits: NDArray[np.floating]) -> Doubles:
    """Return the class probabilities of logits of any magnitude, (..., C).

    Raises:
        ValueError: a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise ValueError("the logits are not finite")
    scaled = np.asarray(logits, np.float64)
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    found: Doubles = powers / powers.sum(-1, keepdims=True)
    return found


def calibrated(logits: NDArray[np.floating], right: NDArray[np.floating]) -> Doubles:
    """Return class probabilities in which the answer of a capacity has a given probability.

    The other classes share the rest in proportion to their softmax. The capacity's answer keeps the
    largest probability, even if a smaller one is given.

    Args:
        logits: the logits of the capacity, (..., C).
        right: the estimated probability that the capacity's answer is right, (...).

    Returns:
        The class probabilities, (..., C), none of which is 0 or 1.

    Raises:
        ValueError: a logit or a probability is not finite.
    """
    if not np.isfinite(right).all():
        raise ValueError("the success probabilities are not finite")
    raw = softmax(logits)
    classes = raw.shape[-1]
    best = logits.argmax(-1)  # logits that differ may have equal probabilities
    is_best = np.arange(classes) == best[..., None]
    others = np.where(is_best, 0.0, raw + _SMALLEST / classes)
    others /= np.add.reduce(others, -1, keepdims=True)
    second = others.max(-1, keepdims=True)
    least = _AHEAD * second / (1 + second)
    top = np.minimum(np.maximum(np.asarray(right)[..., None], least), 1 - _SMALLEST)
    found: Doubles = np.where(is_best, top, others * (1 - top))
    return found
