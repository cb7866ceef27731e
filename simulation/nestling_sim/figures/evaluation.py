"""What each option would have answered, and how other routers would have done on the same inputs.

The run itself only knows the answers it gave. Here every capacity and the teacher answer every
input of the run, with the bundle's own models, so that baselines face the same inputs, the same
resident capacities and the same conditions.
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
# A fallback is not among them: a rival that asked the cloud then would get no answer either.
_CLOUD_OPEN = frozenset({"accepted", "gated", "escalated"})
MULTIPLEXER = "multiplexer"
_DRAWN = frozenset({"max-softmax", "oracle", "random"})
_SEED = 0  # of the lots that are drawn
CURVE_SHARES = tuple(number / 20 for number in range(21))


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Every input of a run, in the order of its receipts.

    Attributes:
        device: whether the resident capacity is right, (N,).
        cloud: whether the teacher is right, (N,).
        answered: whether the answer that was given is right, (N,).
        offloaded: whether the cloud answered, (N,).
        cloud_open: whether the cloud could be chosen and would have answered, (N,).
        urgency: how much each input wants to go to the cloud, once the resident capacity has run,
            (N,), by router: the multiplexer and its rivals.
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
    """Answer every input of a run by every option.

    Args:
        repository: with the bundle of the run.
        streams: inputs and labels by device.
        receipts: one for each input that was answered.
        manifest: of the run's bundle, where it is not the released one any more.
    """
    manifest = manifest or repository.manifest()
    inputs = np.stack([streams[row.device].inputs[row.input_index] for row in receipts])
    labels = np.array([streams[row.device].labels[row.input_index] for row in receipts])
    resident = np.array([row.resident_capacity for row in receipts])
    every, believed = _student_says(repository, manifest, inputs)
    rows = np.arange(len(receipts))
    logits, right = every[resident - 1, rows], believed[resident - 1, rows]
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
    """How much inputs want to go by the rules of rivals that learn nothing."""
    return {rival.name: rival.fit(trial, _SEED)(trial) for rival in RIVALS if rival.name in _DRAWN}


def _student_says(
    repository: Repository, manifest: Manifest, inputs: Floats
) -> tuple[Floats, Floats]:
    """Logits (K, N, classes), and what each capacity says of the options, (K, N, K + 1)."""
    rings = [repository.read(entry.ring.sha256) for entry in manifest.capacities]
    activations = activations_of(platform.machine())  # as the devices of the run
    logits, right = [], []
    for number, entry in enumerate(manifest.capacities, start=1):
        tensors = assemble(manifest.tensors, rings[:number])
        template = template_of(entry, activations)
        session = open_session(repository.read(template.sha256), tensors)
        said = [session.run(["logits", "right"], {"input": part}) for part in _batches(inputs)]
        logits.append(np.concatenate([part[0] for part in said]))
        right.append(np.concatenate([part[1] for part in said]))
    return np.stack(logits), np.stack(right)


def _batches(inputs: Floats) -> list[Floats]:
    return np.split(inputs, range(_BATCH, len(inputs), _BATCH))


def accuracy_at(evaluation: Evaluation, urgency: Doubles, count: int) -> float:
    """Accuracy if the most urgent inputs had gone to the cloud, and no others.

    This is a router with one threshold for the whole fleet, set to send a given number. Inputs for
    which the cloud was no option, or asked without success, keep the device's answer, so that a
    baseline meets the same conditions as the run.

    Args:
        evaluation: of the run.
        urgency: what the router goes by, (N,).
        count: how many inputs it sends; the threshold that does so is known with hindsight.
    """
    rows = np.flatnonzero(evaluation.cloud_open)
    chosen = np.zeros(len(urgency), np.bool_)
    chosen[rows[np.argsort(-urgency[rows], kind="stable")[:count]]] = True
    return float(np.where(chosen, evaluation.cloud, evaluation.device).mean())


def curves(evaluation: Evaluation) -> dict[str, list[tuple[float, float]]]:
    """Accuracy against offload share of every router, as if the cloud had been open all the time.

    Each router has one threshold for the whole fleet.

    Returns:
        By router, (share, accuracy) points; "device-only" and "cloud-only" have one each.
    """
    count = len(evaluation.device)
    always = replace(evaluation, cloud_open=np.ones(count, np.bool_))
    found = {
        name: [
            (share, accuracy_at(always, urgency, round(share * count))) for share in CURVE_SHARES
        ]
        for name, urgency in evaluation.urgency.items()
    }
    found["device-only"] = [(0.0, float(evaluation.device.mean()))]
    found["cloud-only"] = [(1.0, float(evaluation.cloud.mean()))]
    return found
