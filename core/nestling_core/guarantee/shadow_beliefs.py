"""Follows what a device would believe, keep and answer with each threshold.

With a stream filter, what a device believes depends on the answers that it asked for before, and so
on its threshold. Each threshold therefore has a belief of its own, which hears only the answers
that this threshold would have asked for. The belief in row 0 belongs to a device that sends every
input; row t belongs to threshold t. The beliefs that are not in use are shadows: they decide
nothing, but the audits tell how often the cloud would change their answers.

A shadow cannot hear an answer that the device did not ask for. It then knows less than the
threshold would have known in use.

All arrays may have leading axes, with which many streams are followed at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import AuditedThreshold
from nestling_core.belief import belief_filter
from nestling_core.belief.belief_filter import Belief, Parameters
from nestling_core.guarantee.audit_blocks import Verdict

Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
Classes = NDArray[np.intp]


class Judged(NamedTuple):
    """What the device would do with an input in each row.

    Attributes:
        answers: the device's own answer, (..., R).
        kept: whether the answer stays on the device, (..., R).
    """

    answers: Classes
    kept: Bools


def row_thresholds(thresholds: Sequence[AuditedThreshold]) -> Doubles:
    """Return the threshold of each row, (R,), where R is 1 + the number of thresholds.

    The threshold of row 0 sends every input.
    """
    return np.array([-np.inf, *(one.accept_threshold for one in thresholds)])


def judge(sure: Doubles, cloud_right: float | Doubles, rows: Doubles) -> Judged:
    """Return the device's own answer in each row, and whether the device would keep it.

    Args:
        sure: the class probabilities that each row believes, (..., R, C).
        cloud_right: the predicted probability that the cloud is right, a number or (..., 1).
        rows: the threshold of each row, (R,). A row keeps its answer if the cloud's advantage
            (`cloud_right` minus the largest probability in the row) is at most the threshold.
    """
    kept: Bools = cloud_right - sure.max(-1) <= rows
    return Judged(sure.argmax(-1), kept)


def told_answers(parameters: Parameters, sure: Doubles, cloud: Doubles) -> Classes:
    """Return the answer that each row would give after hearing the cloud's answer, (..., R).

    Args:
        parameters: the parameters of the filter.
        sure: the class probabilities that each row believes, (..., R, C).
        cloud: the class probabilities according to the cloud, (..., C).
    """
    heard = belief_filter.trusted(parameters, cloud[..., None, :], sure.shape[-1])
    answers: Classes = (sure * heard).argmax(-1)
    return answers


def after_answer(parameters: Parameters, rows: Belief, kept: Bools, cloud: Doubles) -> Belief:
    """Return the belief of each row after the device has asked the cloud, (..., R, C, C).

    Only the rows that would have asked hear the answer.

    Args:
        parameters: the parameters of the filter.
        rows: the belief of each row, (..., R, C, C).
        kept: whether each row keeps its answer, (..., R).
        cloud: the class probabilities according to the cloud, (..., C).
    """
    told = belief_filter.after_answer(parameters, rows, cloud[..., None, :])
    return np.where(kept[..., None, None], rows, told)


def verdict_of(parameters: Parameters, sure: Doubles, judged: Judged, cloud: Doubles) -> Verdict:
    """Return what the cloud's answer to an input shows about each threshold.

    Args:
        parameters: the parameters of the filter.
        sure: the class probabilities that each threshold's belief gives, (T, C).
        judged: the thresholds' own answers, and whether they keep them, (T,) each.
        cloud: the class probabilities according to the cloud, (C,).
    """
    told = told_answers(parameters, sure, cloud)
    return Verdict(kept=judged.kept, changed=told != judged.answers)
