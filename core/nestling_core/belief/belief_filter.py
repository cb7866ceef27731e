"""Filters the student's outputs and the cloud's answers of a stream into a belief over the classes.

The filter is a Bayes filter for a class that stays the same from one input to the next with a
certain probability, and is otherwise drawn anew. Two facts about streams shape it:

- The outputs of a model for neighboring inputs are not independent: a model that misreads one
  window of an exercise is likely to misread the next one in the same way. Multiplying all outputs
  would make the filter sure of the wrong class. Earlier outputs are therefore partly forgotten
  (`smoothing`) and all outputs are tempered (`weight`), whereas the cloud's answers are remembered
  for as long as the class stays the same.
- If the model's output hardly changes, the class has probably not changed either. The similarity
  of two successive outputs is evidence for this (`persistence`), even where both are wrong.

All arrays may have leading axes, with which many streams are filtered at once. The functions
compute each stream in the same way, whether it is filtered alone or with others.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


class Parameters(Protocol):
    """The parameters of the filter, as `nestling.v1.bundle_pb2.StreamFilter` describes them.

    They are numbers, or arrays (..., 1) to filter with many sets of parameters at once.
    """

    @property
    def stay(self) -> float | Doubles: ...
    @property
    def persistence(self) -> float | Doubles: ...
    @property
    def smoothing(self) -> float | Doubles: ...
    @property
    def weight(self) -> float | Doubles: ...
    @property
    def doubt(self) -> float | Doubles: ...


class Belief(NamedTuple):
    """What is known about the class of the present input, in two independent parts.

    The probability of a class is proportional to the product of `read` and `told`.

    Attributes:
        read: the class probabilities according to the student's outputs, (..., C).
        told: the class probabilities according to the cloud's answers, (..., C).
        seen: the student's output for the last input on which it ran, (..., C).
    """

    read: Doubles
    told: Doubles
    seen: Doubles


def unknown(classes: int, *streams: int) -> Belief:
    """Return the belief at the start of a stream, in which all classes are equally likely.

    Args:
        classes: the number of classes, C.
        streams: the lengths of the leading axes, for several streams.
    """
    uniform = np.full((*streams, classes), 1 / classes)
    return Belief(uniform, uniform, uniform)


def probabilities(belief: Belief) -> Doubles:
    """Return the probability of each class, (..., C)."""
    return _normalized(belief.read * belief.told)


def after_run(parameters: Parameters, before: Belief, evidence: Doubles) -> Belief:
    """Return the belief after a capacity has run on the next input.

    If a larger capacity runs on the same input afterwards, its evidence replaces that of the
    smaller one: pass the same `before` again.

    Args:
        parameters: the parameters of the filter.
        before: the belief after the input before.
        evidence: the class probabilities of this input according to the capacity, (..., C).
    """
    classes = evidence.shape[-1]
    alike = classes * np.add.reduce(evidence * before.seen, -1, keepdims=True)
    same = parameters.stay * (parameters.persistence * alike + (1 - parameters.persistence))
    stay = same / (same + (1 - parameters.stay))
    read = _faded(before.read, parameters.smoothing * stay)
    read *= evidence**parameters.weight
    return Belief(_normalized(read), _faded(before.told, stay), evidence)


def without_run(parameters: Parameters, before: Belief) -> Belief:
    """Return the belief about the next input if no capacity has run on it.

    Args:
        parameters: the parameters of the filter.
        before: the belief after the input before.
    """
    stay = parameters.stay
    return Belief(
        _faded(before.read, parameters.smoothing * stay), _faded(before.told, stay), before.seen
    )


def after_answer(parameters: Parameters, belief: Belief, answer: Doubles) -> Belief:
    """Return the belief after the cloud has answered the present input.

    Args:
        parameters: the parameters of the filter.
        belief: the belief about the present input.
        answer: the class probabilities according to the cloud, (..., C).
    """
    doubt = parameters.doubt
    trusted = (1 - doubt) * answer + doubt / answer.shape[-1]
    return belief._replace(told=_normalized(belief.told * trusted))


def largest_step(doubt: float, classes: int) -> float:
    """Return the largest factor by which one answer of the cloud changes the odds of two classes.

    A cloud that lies therefore moves the belief by no more than this factor.

    Args:
        doubt: the part of the cloud's class probabilities that is replaced by equal ones.
        classes: the number of classes.
    """
    return 1 + classes * (1 - doubt) / doubt


def _faded(beliefs: Doubles, stay: "Doubles | float") -> Doubles:
    """Return the probabilities after one more step, where the class stays with a probability."""
    faded: Doubles = stay * beliefs + (1 - stay) / beliefs.shape[-1]
    return faded


def _normalized(weights: Doubles) -> Doubles:
    """Return new weights, which the caller no longer needs, divided by their sum."""
    weights /= np.add.reduce(weights, -1, keepdims=True)
    return weights
