"""Computes how accurate a run would have been with one option only, or with another router.

A run records only the answers that it gave. Therefore every capacity and the teacher answer every
input of the run again, with the bundle's own models. Other routers can then be evaluated on the
same inputs, with the same resident capacities and under the same conditions.
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.learning.routing.rivals import RIVALS, Trial
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.tasks import Examples
from nestling_core.execution.session import open_session
from nestling_core.nest.bundle_files import template_of
from nestling_core.nest.layout import assemble
from nestling_device.hardware.machine import activations_of

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
_BATCH = 256
# Reasons for which the cloud was a working option. Fallbacks are excluded, because a rival that
# asked the cloud at that moment would have got no answer either.
_CLOUD_OPEN = frozenset({"accepted", "gated", "escalated"})
MULTIPLEXER = "multiplexer"
_PLOTTED = frozenset({"max-softmax", "oracle", "random"})  # rivals that the report shows
_SEED = 0  # of the random router
CURVE_SHARES = tuple(number / 20 for number in range(21))


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The results of every option for the inputs of a run, in the order of the receipts.

    Attributes:
        device: whether the resident capacity (the largest that the device had loaded) is right,
            bool (N,).
        cloud: whether the teacher is right, bool (N,).
        answered: whether the answer that was given is right, bool (N,).
        offloaded: whether the cloud answered, bool (N,).
        cloud_open: whether the cloud could be used, bool (N,): no limit or pause ruled it out for
            this input, and no offload of this input failed.
        urgency: a mapping from the name of a router to its scores of the inputs, float64 (N,). The
            scores are computed after the resident capacity has run. The router sends the inputs
            with the highest scores to the cloud.
    """

    device: Bools
    cloud: Bools
    answered: Bools
    offloaded: Bools
    cloud_open: Bools
    urgency: Mapping[str, Doubles]


def evaluate(
    repository: Repository,
    streams: Mapping[str, Examples],
    receipts: Sequence[ReceiptRow],
    manifest: Manifest | None = None,
) -> Evaluation:
    """Return the results of every option for the inputs of a run.

    Args:
        repository: the repository that contains the bundle of the run.
        streams: a mapping from device id to the inputs and labels of the device.
        receipts: one receipt for each input that was answered.
        manifest: the manifest of the run's bundle, or None if it is the released one.
    """
    manifest = manifest or repository.manifest()
    inputs = np.stack([streams[row.device].inputs[row.input_index] for row in receipts])
    labels = np.array([streams[row.device].labels[row.input_index] for row in receipts])
    resident = np.array([row.resident_capacity for row in receipts])
    every_logits, every_right = _run_student(repository, manifest, inputs)
    rows = np.arange(len(receipts))
    logits, right = every_logits[resident - 1, rows], every_right[resident - 1, rows]
    teacher = open_session(repository.read_model(manifest.cloud.name))
    cloud = np.concatenate([teacher.run(None, {"input": part})[0] for part in _batches(inputs)])
    trial = Trial(
        logits=logits,
        device=logits.argmax(axis=1) == labels,
        cloud=cloud.argmax(axis=1) == labels,
        cloud_logits=cloud,
        labels=labels,
    )
    gain = (right[:, -1] - right[rows, resident - 1]).astype(np.float64)
    return Evaluation(
        device=trial.device,
        cloud=trial.cloud,
        answered=np.array([row.answer for row in receipts]) == labels,
        offloaded=np.array([row.route == "cloud" for row in receipts]),
        cloud_open=np.array([row.reason in _CLOUD_OPEN for row in receipts]),
        urgency={MULTIPLEXER: gain, **rivals_urgency(trial)},
    )


def rivals_urgency(trial: Trial) -> dict[str, Doubles]:
    """Return the scores that the report's other routers assign to the inputs.

    These routers need no training.

    Args:
        trial: the outputs of the device and of the cloud for the inputs, with the labels.

    Returns:
        A mapping from the name of the router to its scores, float64 (N,). The router sends the
        inputs with the highest scores.
    """
    return {
        rival.name: rival.fit(trial, _SEED)(trial) for rival in RIVALS if rival.name in _PLOTTED
    }


def _run_student(
    repository: Repository, manifest: Manifest, inputs: Floats
) -> tuple[Floats, Floats]:
    """Return the outputs of every capacity for the inputs.

    Returns:
        The logits, (K, N, classes), and the success probabilities of the options (the capacities
        and the cloud) as predicted after each capacity has run, (K, N, K + 1).
    """
    rings = [repository.read(entry.ring.sha256) for entry in manifest.capacities]
    activations = activations_of(platform.machine())  # the same as on the devices of the run
    logits, right = [], []
    for number, entry in enumerate(manifest.capacities, start=1):
        tensors = assemble(manifest.tensors, rings[:number])
        template = template_of(entry, activations)
        session = open_session(repository.read(template.sha256), tensors)
        outputs = [session.run(["logits", "right"], {"input": part}) for part in _batches(inputs)]
        logits.append(np.concatenate([part[0] for part in outputs]))
        right.append(np.concatenate([part[1] for part in outputs]))
    return np.stack(logits), np.stack(right)


def _batches(inputs: Floats) -> list[Floats]:
    return np.split(inputs, range(_BATCH, len(inputs), _BATCH))


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
    rows = np.flatnonzero(evaluation.cloud_open)
    chosen = np.zeros(len(urgency), np.bool_)
    chosen[rows[np.argsort(-urgency[rows], kind="stable")[:count]]] = True
    return float(np.where(chosen, evaluation.cloud, evaluation.device).mean())


def curves(evaluation: Evaluation) -> dict[str, list[tuple[float, float]]]:
    """Return the accuracy of every router at several offload shares.

    The cloud counts as always available, and each router has one threshold for the whole fleet.

    Returns:
        A mapping from the name of a router to its points (offload share, accuracy), both from 0 to
        1 and sorted by share. The entry "device-only" has one point at share 0, and "cloud-only"
        has one at share 1.
    """
    count = len(evaluation.device)
    always = replace(evaluation, cloud_open=np.ones(count, np.bool_))
    points = {
        name: [
            (share, accuracy_at(always, urgency, round(share * count))) for share in CURVE_SHARES
        ]
        for name, urgency in evaluation.urgency.items()
    }
    points["device-only"] = [(0.0, float(evaluation.device.mean()))]
    points["cloud-only"] = [(1.0, float(evaluation.cloud.mean()))]
    return points
