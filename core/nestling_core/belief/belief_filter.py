"""Filters the student's outputs and the cloud's answers of a stream into a belief over the classes.

The filter is a hidden Markov model. Its hidden state is a pair: the true class of the input, and
the class as which the student reads the current stretch of inputs. Two facts about streams shape
it:

- Neighboring inputs mostly have the same class.
- The outputs of a model for neighboring inputs are not independent: a model that misreads one
  window of an exercise misreads the next one in the same way. In a filter over the true class
  alone, such outputs would multiply to certainty. Here, they only make certain how the student
  reads the stretch. Whether that is the true class remains uncertain, to the degree to which the
  student misreads stretches, until the cloud is asked.

The cloud's answer is evidence of the true class. It is remembered while the class and the student's
reading stay the same, and doubted when the reading changes.

All arrays may have leading axes, with which many streams are filtered at once. The functions
compute each stream in the same way, whether it is filtered alone or with others.
"""

import functools
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

Belief = Doubles
"""What is known about the current input: the joint probability of the true class and of the reading
(the class as which the student reads the stretch), (..., C, C). The last axis is the reading."""


class Parameters(Protocol):
    """The parameters of the filter, as `nestling.v1.bundle_pb2.StreamFilter` describes them.

    They are numbers, or arrays (..., 1, 1) to filter with many sets of parameters at once.
    """

    @property
    def stay(self) -> float | Doubles: ...
    @property
    def reread(self) -> float | Doubles: ...
    @property
    def misread(self) -> float | Doubles: ...
    @property
    def weight(self) -> float | Doubles: ...
    @property
    def doubt(self) -> float | Doubles: ...


def unknown(parameters: Parameters, classes: int, *streams: int) -> Belief:
    """Return the belief at the start of a stream, in which all classes are equally likely.

    Args:
        parameters: the parameters of the filter.
        classes: the number of classes, C.
        streams: the lengths of the leading axes, for several streams.
    """
    uniform = np.full((*streams, classes, 1), 1 / classes)
    return _read_anew(uniform, parameters, classes)


def probabilities(belief: Belief) -> Doubles:
    """Return the probability of each true class, (..., C)."""
    found: Doubles = np.add.reduce(belief, -1)
    return found


def after_run(parameters: Parameters, before: Belief, evidence: Doubles) -> Belief:
    """Return the belief after a capacity has run on the next input.

    Args:
        parameters: the parameters of the filter.
        before: the belief after the previous input.
        evidence: the class probabilities of this input according to the capacity, (..., C).
    """
    return with_evidence(parameters, without_run(parameters, before), evidence)


def with_evidence(parameters: Parameters, predicted: Belief, evidence: Doubles) -> Belief:
    """Return the belief about an input after a capacity has run on it.

    If a larger capacity runs on the same input afterwards, its evidence replaces that of the
    smaller one: pass the same prediction again.

    Args:
        parameters: the parameters of the filter.
        predicted: the belief about the input before any run, as `without_run` returns it.
        evidence: the class probabilities of this input according to the capacity, (..., C).
    """
    return _normalized(predicted * evidence[..., None, :] ** parameters.weight)


def without_run(parameters: Parameters, before: Belief) -> Belief:
    """Return the belief about the next input if no capacity has run on it.

    The previous belief is rounded to single precision, in which a device saves it. A restart of the
    device, or a replay of its stream elsewhere, therefore changes no answer.

    Args:
        parameters: the parameters of the filter.
        before: the belief after the previous input.
    """
    before = before.astype(np.float32).astype(np.float64)
    classes = before.shape[-1]
    true = np.add.reduce(before, -1, keepdims=True)
    fresh = parameters.stay * parameters.reread * true + (1 - parameters.stay) / classes
    same = parameters.stay * (1 - parameters.reread) * before
    predicted: Belief = same + _read_anew(fresh, parameters, classes)
    return predicted


def after_answer(parameters: Parameters, belief: Belief, answer: Doubles) -> Belief:
    """Return the belief after the cloud has answered the current input.

    Args:
        parameters: the parameters of the filter.
        belief: the belief about the current input.
        answer: the class probabilities according to the cloud, (..., C).
    """
    heard = trusted(parameters, answer[..., None], answer.shape[-1])
    return _normalized(belief * heard)


def trusted(parameters: Parameters, answer: Doubles, classes: int) -> Doubles:
    """Return the cloud's class probabilities as far as the filter trusts them, in the same shape.

    The part `parameters.doubt` of them is replaced by equal probabilities.

    Args:
        parameters: the parameters of the filter.
        answer: the class probabilities according to the cloud, in any shape.
        classes: the number of classes, C.
    """
    found: Doubles = (1 - parameters.doubt) * answer + parameters.doubt / classes
    return found


def largest_step(doubt: float, classes: int) -> float:
    """Return the largest factor by which one answer of the cloud changes the odds of two classes.

    A cloud that lies therefore moves the belief by no more than this factor.

    Args:
        doubt: the part of the cloud's class probabilities that is replaced by equal ones.
        classes: the number of classes.
    """
    return 1 + classes * (1 - doubt) / doubt


def _read_anew(true: Doubles, parameters: Parameters, classes: int) -> Doubles:
    """Return the joint probabilities if the student reads a stretch for the first time.

    The student reads it as the true class, or as any other class with equal probability.

    Args:
        true: the probability of each true class, (..., C, 1).
        parameters: the parameters of the filter.
        classes: the number of classes, C.
    """
    other = parameters.misread / (classes - 1)
    joint: Doubles = true * np.where(_is_same(classes), 1 - parameters.misread, other)
    return joint


@functools.cache
def _is_same(classes: int) -> NDArray[np.bool_]:
    """Return whether the true class is the reading, (C, C)."""
    return np.eye(classes, dtype=np.bool_)


def _normalized(joint: Belief) -> Belief:
    """Divide joint probabilities by their sum, in place, and return them."""
    joint /= np.add.reduce(np.add.reduce(joint, -1, keepdims=True), -2, keepdims=True)
    return joint
