"""Replays streams with rules that devices do not have: skipping, and looking ahead.

Without these rules, a replay is as in `nestling_cloud.learning.routing.stream_replay`.
"""

from dataclasses import dataclass

import numpy as np

from nestling.v1.bundle_pb2 import StreamFilter
from nestling_cloud.learning.routing.data import Bools
from nestling_cloud.learning.routing.stream_replay import Doubles, Indices, Streams
from nestling_core.belief import belief_filter

NEVER = 2.0
"""A probability above which no belief is, so that no input is skipped."""
_ROUNDS = 14


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of several replays.

    Attributes:
        skip: the probability of the best class above which no capacity runs on the next input,
            (R,).
        look_ahead: how much the doubt before the input is seen adds to the gain of asking, (R,).
    """

    skip: Doubles
    look_ahead: Doubles


@dataclass(frozen=True, kw_only=True)
class VariantReplay:
    """The results of replays, in the order of the data.

    Attributes:
        sent: whether each input was sent to the cloud, (R, N).
        skipped: whether no capacity ran, and the input was not sent either, (R, N).
        answers: the class that was answered, (R, N).
    """

    sent: Bools
    skipped: Bools
    answers: Indices


def replay_variants(
    parameters: StreamFilter, streams: Streams, capacity: int, rules: Rules, accept: Doubles
) -> VariantReplay:
    """Return what devices would have answered, sent and skipped.

    Args:
        parameters: the parameters of the stream filter.
        streams: the streams.
        capacity: the capacity that runs, from 1.
        rules: the rules of each replay.
        accept: for each replay, the gain above which an input is sent, (R,).
    """
    replays, (inputs, classes) = len(accept), streams.cloud.shape
    belief = belief_filter.unknown(parameters, classes, replays, len(streams.places))
    results = np.zeros((3, replays, inputs + 1), np.intp)  # the last column is for padding
    skip, ahead = rules.skip[:, None], rules.look_ahead[:, None]
    for places in streams.places.T:
        idle = belief_filter.without_run(parameters, belief)
        skipped = belief_filter.probabilities(idle).max(-1) > skip
        ran = belief_filter.after_run(parameters, belief, streams.evidence[capacity - 1, places])
        now = np.where(skipped[..., None, None], idle, ran)
        sure = belief_filter.probabilities(now)
        gain = streams.right[capacity - 1, places, -1] - sure.max(-1)
        doubt = 1 - belief_filter.probabilities(idle).max(-1)
        sent = ~skipped & (gain + ahead * doubt > accept[:, None])
        told = belief_filter.after_answer(parameters, now, streams.cloud[places])
        answers = np.where(sent, belief_filter.probabilities(told).argmax(-1), sure.argmax(-1))
        results[:, :, places] = np.stack([sent, skipped, answers])
        belief = np.where(sent[..., None, None], told, now)
    sent, skipped, answers = results[:, :, :-1]
    return VariantReplay(
        sent=sent.astype(np.bool_), skipped=skipped.astype(np.bool_), answers=answers
    )


def replay_at_share(
    parameters: StreamFilter, streams: Streams, capacity: int, rules: Rules, share: float
) -> VariantReplay:
    """Return the replays, each with the threshold that sends a share of its inputs.

    Args:
        parameters: the parameters of the stream filter.
        streams: the streams.
        capacity: the capacity that runs, from 1.
        rules: the rules of each replay.
        share: the offload share.
    """
    low, high = np.full(len(rules.skip), -1.0), 1.0 + rules.look_ahead
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        result = replay_variants(parameters, streams, capacity, rules, middle)
        too_many = result.sent.mean(axis=1) > share
        low, high = np.where(too_many, middle, low), np.where(too_many, high, middle)
    return replay_variants(parameters, streams, capacity, rules, high)
