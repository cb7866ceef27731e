"""Runs the models of a released bundle on the inputs of a run."""

import platform

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Calibration
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.tasks.inputs import Inputs
from nestling_core.execution.session import open_session
from nestling_core.kinds.of_signature import kind_of
from nestling_core.nest.bundle_files import template_of
from nestling_core.nest.layout import assemble
from nestling_device.hardware.machine import activations_of

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]
_BATCH = 256


def released_calibration(repository: Repository) -> Calibration:
    """Return the calibration of the released bundle."""
    return Calibration.FromString(repository.read_whole(repository.manifest().calibration))


def resident_outputs(
    repository: Repository, inputs: Floats, resident: Indices
) -> tuple[Floats, Floats]:
    """Return the outputs of the capacity that was resident for each input.

    Args:
        repository: the repository with the released bundle.
        inputs: the inputs, (N, *shape).
        resident: the capacity that was resident for each input, 1 to K, (N,).

    Returns:
        The outputs of the student, (N, O), and the predicted success probabilities of the capacity
        and of the cloud, (N, 2).
    """
    manifest = repository.manifest()
    rings = [repository.read(entry.ring.sha256) for entry in manifest.capacities]
    activations = activations_of(platform.machine())  # the same as on the devices of the run
    outputs = kind_of(manifest.signature).student_outputs
    logits = np.zeros((len(inputs), outputs), np.float32)
    right = np.zeros((len(inputs), 2), np.float32)
    for number in np.unique(resident).tolist():
        rows = np.flatnonzero(resident == number)
        template = template_of(manifest.capacities[number - 1], activations)
        session = open_session(
            repository.read(template.sha256), assemble(manifest.tensors, rings[:number])
        )
        for part in _batches(rows):
            found, success = session.run(["logits", "right"], {"input": inputs[part]})
            logits[part], right[part] = found, success[:, [number - 1, -1]]
    return logits, right


def cloud_outputs(repository: Repository, inputs: Inputs) -> Floats:
    """Return the outputs of the teacher that the cloud serves, (N, O).

    Args:
        repository: the repository with the released bundle.
        inputs: the inputs, (N, *shape).
    """
    teacher = open_session(repository.read_model(repository.manifest().cloud))
    rows = np.arange(len(inputs))
    return np.concatenate(
        [teacher.run(None, {"input": inputs[part]})[0] for part in _batches(rows)]
    )


def _batches(rows: Indices) -> list[Indices]:
    return np.split(rows, range(_BATCH, len(rows), _BATCH))
