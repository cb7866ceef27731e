"""Computes how certain an audited agreement is.

An audit asks the cloud about an answer that a device has kept by choice. The agreement is the share
of the audited answers with which the cloud agrees. It estimates the agreement of all kept answers.

The interval is that of Clopper and Pearson (1934). It assumes that audits are drawn at random,
independently of the input, and that the audited answers are independent of each other. However,
neighboring inputs of a stream depend on each other. Where audits are dense, the interval is
therefore somewhat too narrow.

Audits of several devices are pooled, and every audit counts once, however many kept answers it
stands for. Under a tolerated risk, a device audits more often while it is suspicious. A pooled
agreement therefore leans toward hard periods and devices that audit much. Audits to which the
cloud gave no answer do not count. The functions are pure.
"""

import math

# Halvings of the interval from 0 to 1: more than a figure on a page needs.
_HALVINGS = 40
# The continued fraction takes about the square root of the number of audits.
_MOST_TERMS = 100_000
_PRECISION = 1e-12
_TINY = 1e-300


def agreement_interval(
    agreeing: int, audited: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the lower and the upper limit of the agreement by Clopper and Pearson.

    Args:
        agreeing: the number of audited answers with which the cloud agrees.
        audited: the number of audited answers, at least 1.
        confidence: the probability, 0 to 1, with which the interval holds the agreement.
    """
    tail, differing = (1 - confidence) / 2, audited - agreeing
    low = _beta_quantile(tail, agreeing, differing + 1) if agreeing else 0.0
    high = _beta_quantile(1 - tail, agreeing + 1, differing) if differing else 1.0
    return low, high


def _beta_quantile(probability: float, a: int, b: int) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _beta_cdf(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta_cdf(x: float, a: int, b: int) -> float:
    """Return the regularized incomplete beta function I_x(a, b), for x strictly between 0 and 1."""
    if x > (a + 1) / (a + b + 2):  # where the fraction would converge slowly
        return 1 - _beta_cdf(1 - x, b, a)
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    logarithm += a * math.log(x) + b * math.log1p(-x)
    return math.exp(logarithm) * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: int, b: int) -> float:
    """Return the continued fraction of I_x(a, b) (DLMF 8.17.22), by Lentz's method."""
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d, c = 1 / _nonzero(1 + term * d), _nonzero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
