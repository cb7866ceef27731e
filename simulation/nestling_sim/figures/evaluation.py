"""Computes how accurate a run would have been with one option only, or with another router.

A run records only the answers that it gave. Therefore the resident capacities and the teacher
answer every input of the run again, with the bundle's own models. Other routers can then be
evaluated on the same inputs, with the same resident capacities and under the same conditions. All
of them except the oracle are evaluated twice: plain, where each input is judged on its own, and
behind the bundle's stream filter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.learning.routing.rivals import RIVALS, Trial
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.tasks import Examples
from nestling_core.kinds.kind import Kind
from nestling_core.kinds.labels import SingleLabel
from nestling_core.kinds.of_signature import kind_of
from nestling_sim.figures.cloud_alone import cloud_filter, filtered_answers
from nestling_sim.figures.filtered_run import (
    FilteredRun,
    filters_of,
    one_capacity,
    stream_places,
)
from nestling_sim.figures.follow_ups import answer_in, revised_answers
from nestling_sim.figures.model_outputs import (
    cloud_outputs,
    released_calibration,
    resident_outputs,
)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
# Reasons for which the cloud was a working option. Fallbacks are excluded, because a rival that
# asked the cloud at that moment would have got no answer either.
_CLOUD_OPEN = frozenset({"accepted", "gated", "escalated"})
MULTIPLEXER = "bundle's router"
ORACLE = "oracle"
BEHIND_FILTER = ", filtered"
"""The end of the name of a router or option behind the stream filter."""
PLAIN_RIVALS = ("max-softmax", "margin")
_SEED = 0  # no rival here needs one
CURVE_SHARES = (*(number / 100 for number in range(20)), *(number / 20 for number in range(4, 21)))


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The results of every option for the inputs of a run, in the order of the receipts.

    Attributes:
        device: whether the resident capacity (the largest that the device had loaded) is right,
            bool (N,).
        cloud: whether the teacher is right, bool (N,).
        answered: whether the answer that was given is right, bool (N,).
        revised: whether the last answer is right, after the cloud has answered follow-ups, bool
            (N,).
        offloaded: whether the cloud answered at once, bool (N,).
        cloud_open: whether the cloud could be used, bool (N,): no limit or pause ruled it out for
            this input, and no offload of this input failed.
        urgency: a mapping from the name of a router to its scores of the inputs, float64 (N,). The
            scores are computed after the resident capacity has run. The router sends the inputs
            with the highest scores to the cloud.
        filtered: the same inputs behind the bundle's stream filter, or None if it has none.
    """

    device: Bools
    cloud: Bools
    answered: Bools
    revised: Bools
    offloaded: Bools
    cloud_open: Bools
    urgency: Mapping[str, Doubles]
    filtered: FilteredRun | None = None


def evaluate(
    repository: Repository,
    streams: Mapping[str, Examples],
    receipts: Sequence[ReceiptRow],
    calibration: Examples,
    follow_ups: Sequence[ReceiptRow] = (),
) -> Evaluation:
    """Return the results of every option for the inputs of a run with the released bundle.

    Args:
        repository: the repository that contains the bundle of the run.
        streams: a mapping from device id to the inputs and labels of the device.
        receipts: one receipt for each input that was answered, sorted by device and input index.
        calibration: the task's calibration inputs, on which a filter for the cloud is fitted.
        follow_ups: the receipts of follow-ups, which are deferred inputs and audits that were
            settled later.
    """
    kind = kind_of(repository.manifest().signature)
    inputs = np.stack([streams[row.device].inputs[row.input_index] for row in receipts])
    labels = np.stack([streams[row.device].labels[row.input_index] for row in receipts])
    resident = np.array([row.resident_capacity for row in receipts])
    logits, right = resident_outputs(repository, inputs, resident)
    cloud = cloud_outputs(repository, inputs)
    trial = Trial(
        logits=logits,
        device=kind.success(kind.answers(logits), labels),
        cloud=kind.success(kind.answers(cloud), labels),
        cloud_logits=cloud,
        labels=labels,
    )
    own_gain = (right[:, 1] - right[:, 0]).astype(np.float64)
    return Evaluation(
        device=trial.device,
        cloud=trial.cloud,
        answered=kind.success(kind.unpacked(list(map(answer_in, receipts))), labels),
        revised=kind.success(kind.unpacked(revised_answers(receipts, follow_ups)), labels),
        offloaded=np.array([row.route == "cloud" for row in receipts]),
        cloud_open=np.array([row.reason in _CLOUD_OPEN for row in receipts]),
        urgency={MULTIPLEXER: own_gain, **rivals_urgency(trial, kind)},
        filtered=_filtered(repository, receipts, trial, right, calibration),
    )


def rivals_urgency(trial: Trial, kind: Kind) -> dict[str, Doubles]:
    """Return the scores that the report's other routers assign to the inputs.

    These routers need no training. Those that rank by class probabilities are left out unless the
    task is single-label.

    Args:
        trial: the outputs of the device and of the cloud for the inputs, with the labels.
        kind: the kind of the task.

    Returns:
        A mapping from the name of the router to its scores, float64 (N,). The router sends the
        inputs with the highest scores.
    """
    shown = {*PLAIN_RIVALS, ORACLE} if isinstance(kind, SingleLabel) else {ORACLE}
    return {rival.name: rival.fit(trial, _SEED)(trial) for rival in RIVALS if rival.name in shown}


def _filtered(
    repository: Repository,
    receipts: Sequence[ReceiptRow],
    trial: Trial,
    right: Floats,
    calibration: Examples,
) -> FilteredRun | None:
    """Return the inputs behind the bundle's filter, or None if the bundle has none."""
    filters = filters_of(receipts, released_calibration(repository))
    if filters is None:
        return None
    streams = one_capacity(stream_places(receipts), trial.logits, right, trial.cloud_logits)
    cloud = trial.cloud
    known = cloud_filter(calibration, cloud_outputs(repository, calibration.inputs))
    if known is not None:
        answers = filtered_answers(known, streams.places, trial.cloud_logits)
        cloud = answers == trial.labels
    return FilteredRun(filters=filters, streams=streams, labels=trial.labels, cloud=cloud)


def accuracy_at(evaluation: Evaluation, urgency: Doubles, count: int) -> float:
    """Return the accuracy of a run in which only the inputs with the highest scores are sent.

    The router has one threshold for the whole fleet, chosen with hindsight to send a given number
    of inputs. To keep the conditions of the run, an input for which the cloud could not be used is
    answered by the resident capacity.

    Args:
        evaluation: the result of each option in the run.
        urgency: the router's scores of the inputs, (N,).
        count: the number of inputs that the router sends. If the cloud could be used for fewer
            inputs, only these are sent.
    """
    sent = _ranks(urgency, evaluation.cloud_open) < count
    return float(np.where(sent, evaluation.cloud, evaluation.device).mean())


def same_share(evaluation: Evaluation) -> dict[str, float]:
    """Return the accuracies (0 to 1) of the run, of single options and of other routers, by name.

    The other routers meet the same conditions as the run and send as many inputs. The names of
    those that know the bundle's stream filter contain "filtered". They are missing if the bundle
    has no filter.
    """
    count, filtered = int(evaluation.offloaded.sum()), evaluation.filtered
    found = {
        "device_only": float(evaluation.device.mean()),
        "cloud_only": float(evaluation.cloud.mean()),
        "hybrid": float(evaluation.answered.mean()),
        **{
            f"{_key(name)}_same_share": accuracy_at(evaluation, evaluation.urgency[name], count)
            for name in (*_plain_rivals(evaluation), ORACLE)
        },
    }
    if filtered is not None:
        found["device_only_filtered"] = filtered.device()
        found["cloud_only_filtered"] = float(filtered.cloud.mean())
        for name in _plain_rivals(evaluation):
            ranks = _ranks(evaluation.urgency[name], evaluation.cloud_open)
            found[f"{_key(name)}_filtered_same_share"] = filtered.accuracies(ranks, [count])[0]
    return found


def curves(evaluation: Evaluation) -> dict[str, list[tuple[float, float]]]:
    """Return the accuracy of every router at several offload shares.

    The cloud counts as always available, and each router has one threshold for the whole fleet.

    Returns:
        A mapping from the name of a router to its points (offload share, accuracy), both from 0 to
        1 and sorted by share. The entry "device-only" has one point at share 0, and "cloud-only"
        has one at share 1. If the bundle has a stream filter, the multiplexer is behind it, and
        there are further entries for the other routers and options behind it.
    """
    count, filtered = len(evaluation.device), evaluation.filtered
    counts = [round(share * count) for share in CURVE_SHARES]
    always = replace(evaluation, cloud_open=np.ones(count, np.bool_))
    points = {
        name: [
            (share, accuracy_at(always, evaluation.urgency[name], sent))
            for share, sent in zip(CURVE_SHARES, counts, strict=True)
        ]
        for name in (MULTIPLEXER, *_plain_rivals(evaluation))
    }
    points["device-only"] = [(0.0, float(evaluation.device.mean()))]
    points["cloud-only"] = [(1.0, float(evaluation.cloud.mean()))]
    if filtered is not None:
        own = filtered.own_accuracies(CURVE_SHARES)
        points[MULTIPLEXER] = list(zip(CURVE_SHARES, own, strict=True))
        for name in _plain_rivals(evaluation):
            ranks = _ranks(evaluation.urgency[name], always.cloud_open)
            accuracies = filtered.accuracies(ranks, counts)
            points[name + BEHIND_FILTER] = list(zip(CURVE_SHARES, accuracies, strict=True))
        points["device-only" + BEHIND_FILTER] = [(0.0, filtered.device())]
        points["cloud-only" + BEHIND_FILTER] = [(1.0, float(filtered.cloud.mean()))]
    return points


def _plain_rivals(evaluation: Evaluation) -> list[str]:
    return [name for name in PLAIN_RIVALS if name in evaluation.urgency]


def _ranks(urgency: Doubles, cloud_open: Bools) -> Doubles:
    """Return the rank of each input, 0 for the most urgent one; infinite without the cloud."""
    rows = np.flatnonzero(cloud_open)
    ranks = np.full(len(urgency), np.inf)
    ranks[rows[np.argsort(-urgency[rows], kind="stable")]] = np.arange(len(rows))
    return ranks


def _key(router: str) -> str:
    return router.replace("-", "_")
