"""Filters for streams, and the beliefs that they lead to."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling_core.belief import belief_filter
from nestling_core.belief.belief_filter import Belief, Parameters
from nestling_core.belief.evidence import calibrated

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """The parameters of a filter."""

    stay: float = 0.9
    reread: float = 0.1
    misread: float = 0.2
    weight: float = 0.5
    doubt: float = 0.05


FILTER = Filter()
CLASSES = 4

# The ranges that a bundle may have. A student that misreads most stretches would tell nothing.
FILTERS = st.builds(
    Filter,
    stay=st.floats(0, 0.999),
    reread=st.floats(0, 1),
    misread=st.floats(0.001, 0.499),
    weight=st.floats(0.01, 1),
    doubt=st.floats(0.001, 0.999),
)


def one_hot(place: int, classes: int = CLASSES) -> Doubles:
    found: Doubles = np.eye(classes)[place]
    return found


def seen(place: int, right: float, classes: int = CLASSES) -> Doubles:
    """Return the evidence of a capacity that gives a class a probability."""
    return calibrated(np.eye(classes, dtype=np.float32)[place], np.array(right))


def believed(filtered: Belief, place: int) -> float:
    return float(belief_filter.probabilities(filtered)[place])


def after(parameters: Parameters, *evidence: Doubles, start: Belief | None = None) -> Belief:
    belief = belief_filter.unknown(parameters, len(evidence[0])) if start is None else start
    for one in evidence:
        belief = belief_filter.after_run(parameters, belief, one)
    return belief


def confirmed(parameters: Parameters, belief: Belief, place: int) -> Belief:
    """Return the belief after the cloud has given all probability to a class."""
    return belief_filter.after_answer(parameters, belief, one_hot(place))
