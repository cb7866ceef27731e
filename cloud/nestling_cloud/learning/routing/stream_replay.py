"""Replays recordings as the streams of devices, with the filter and the rules that devices use.

Whether an input is sent depends on what the device believes, and the cloud's answer changes what
the device believes about the next inputs. The share and the accuracy at a threshold are therefore
found by replaying the streams at this threshold. All thresholds and all streams are replayed at
once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.routing.cascade import CascadeRule
from nestling_cloud.learning.routing.data import Bools, Floats, RoutingData
from nestling_core.belief import belief_filter
from nestling_core.belief.belief_filter import Parameters
from nestling_core.belief.evidence import calibrated, softmax

Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]

# Recordings in a stream, on average: devices meet a few recordings, one after another.
_RECORDINGS = 5


@dataclass(frozen=True, kw_only=True)
class Streams:
    """The outputs of every option for the inputs of several streams.

    Attributes:
        places: the index of each input in the data, (S, T). A stream that is shorter than the
            others ends with -1.
        evidence: the class probabilities that the filter gets from each capacity, (K, N, C).
        right: the success probabilities of the options after each capacity has run, (K, N, K + 1).
        cloud: the class probabilities of the cloud, (N, C).
    """

    places: Indices
    evidence: Doubles
    right: Doubles
    cloud: Doubles


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The thresholds of several replays.

    Attributes:
        gate: for each replay, the gain above which an input is sent before the larger capacity of
            a cascade runs, (R,).
        accept: for each replay, the gain above which an input is sent after the last run, (R,).
    """

    gate: Doubles
    accept: Doubles


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The results of replays, in the order of the data.

    Attributes:
        sent: whether each input was sent to the cloud, (R, N).
        answers: the class that was answered, (R, N).
        device: the class that the device would have answered on its own at that moment, (R, N).
        told: the class that was answered, or would have been, after the cloud's answer, (R, N).
        larger: whether the larger capacity of the cascade ran, (R, N).
    """

    sent: Bools
    answers: Indices
    device: Indices
    told: Indices
    larger: Bools

    @property
    def changed(self) -> Bools:
        """Whether the cloud changed the device's answer, or would have if asked, (R, N)."""
        changed: Bools = self.told != self.device
        return changed

    def shares(self) -> Doubles:
        """Return the offload share of each replay, (R,)."""
        shares: Doubles = self.sent.mean(axis=1)
        return shares

    def accuracies(self, labels: NDArray[np.int64]) -> Doubles:
        """Return the accuracy of each replay, (R,)."""
        accuracies: Doubles = (self.answers == labels).mean(axis=1)
        return accuracies


def deal_recordings(lengths: Sequence[int], streams: int, seed: int) -> Indices:
    """Return the indices of the inputs of each stream, (S, T), where -1 marks the end.

    Whole recordings are dealt to the streams in a random order, as the simulator deals them.

    Args:
        lengths: the number of inputs in each recording.
        streams: the number of streams, at most the number of recordings.
        seed: the seed of the random order.
    """
    order = np.random.default_rng(seed).permutation(len(lengths)).tolist()
    starts = np.cumsum([0, *lengths])
    dealt = [
        np.concatenate([np.arange(starts[one], starts[one + 1]) for one in order[turn::streams]])
        for turn in range(streams)
    ]
    longest = max(map(len, dealt))
    return np.stack(
        [np.pad(one, (0, longest - len(one)), constant_values=-1) for one in dealt]
    ).astype(np.intp)


def deal_to_streams(lengths: Sequence[int], seed: int) -> Indices:
    """Return the indices of the inputs of streams of about five recordings each, (S, T).

    Args:
        lengths: the number of inputs in each recording.
        seed: the seed of the random order in which the recordings are dealt.
    """
    return deal_recordings(lengths, max(1, round(len(lengths) / _RECORDINGS)), seed)


def streams_of(data: RoutingData, believed: Floats, seed: int) -> Streams:
    """Deal recordings into streams of about five each, and return the streams.

    Args:
        data: the outputs of every option for the inputs of recordings.
        believed: the predicted success probabilities, (K, N, K + 1), as returned by `beliefs`.
        seed: the seed of the random order in which the recordings are dealt.
    """
    return Streams(
        places=deal_to_streams(data.lengths, seed),
        evidence=evidence_of(data.logits, believed),
        right=np.asarray(believed, np.float64),
        cloud=softmax(data.cloud),
    )


def evidence_of(logits: Floats, believed: Floats) -> Doubles:
    """Return the class probabilities that the filter gets from each capacity, (K, N, C).

    Args:
        logits: the logits of each capacity, (K, N, C).
        believed: the predicted success probabilities, (K, N, K + 1).
    """
    own = np.stack([after[:, index] for index, after in enumerate(believed)])
    return calibrated(logits, own)


def replay(
    parameters: Parameters,
    streams: Streams,
    cascade: CascadeRule,
    thresholds: Thresholds,
    urgency: Doubles | None = None,
) -> Replay:
    """Return what devices would have answered and sent at each of several thresholds.

    Args:
        parameters: the parameters of the stream filter. They may be different in each replay, as
            arrays (R, 1, 1, 1).
        streams: the streams.
        cascade: the capacities that run.
        thresholds: the thresholds of each replay.
        urgency: another router's scores of the inputs, (N,), which replace the predicted gains of
            the cloud after the last run. None for the device's own rule.
    """
    replays, inputs = len(thresholds.accept), streams.cloud.shape[0]
    start, top = cascade.start - 1, cascade.top - 1
    gate, accept = thresholds.gate[:, None], thresholds.accept[:, None]
    belief = belief_filter.unknown(parameters, streams.cloud.shape[1], replays, len(streams.places))
    results = np.zeros((5, replays, inputs + 1), np.intp)  # the last column is for padding
    for places in streams.places.T:
        predicted = belief_filter.without_run(parameters, belief)
        first = belief_filter.with_evidence(parameters, predicted, streams.evidence[start, places])
        sure = belief_filter.probabilities(first)
        confidence = sure.max(-1)
        right = streams.right[start, places]
        gated = larger = np.zeros(confidence.shape, np.bool_)
        if start != top:
            gated = right[:, -1] - np.maximum(confidence, right[:, top]) > gate
            larger = ~gated & (right[:, top] - right[:, start] > cascade.threshold)
            first = np.where(
                larger[..., None, None],
                belief_filter.with_evidence(parameters, predicted, streams.evidence[top, places]),
                first,
            )
            sure = belief_filter.probabilities(first)
            confidence = sure.max(-1)
            right = np.where(larger[..., None], streams.right[top, places], right)
        gain = right[..., -1] - confidence if urgency is None else urgency[places]
        sent = gated | (gain > accept)
        told = belief_filter.after_answer(parameters, first, streams.cloud[places])
        device, heard = sure.argmax(-1), belief_filter.probabilities(told).argmax(-1)
        answers = np.where(sent, heard, device)
        results[:, :, places] = np.stack([sent, answers, device, heard, larger])
        belief = np.where(sent[..., None, None], told, first)
    sent, answers, device, heard, larger = results[:, :, :-1]
    return Replay(
        sent=sent.astype(np.bool_),
        answers=answers,
        device=device,
        told=heard,
        larger=larger.astype(np.bool_),
    )
