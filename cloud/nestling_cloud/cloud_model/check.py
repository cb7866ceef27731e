"""Checks a cloud model before its release, with the same code that will serve it."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.cloud_model.model import MAX_BATCH, CloudModel, ModelError
from nestling_core.kinds.of_signature import kind_of

Rows = NDArray[np.float32]


class Inputs(Protocol):
    """Inputs (N, *shape) that can be sliced like an array, even if they are in a file."""

    def __len__(self) -> int:
        """Return the number of inputs."""
        ...

    def __getitem__(self, rows: slice, /) -> Rows:
        """Return some of the inputs, (n, *shape)."""
        ...


# One input, two, an odd number, and the most that the batcher runs at once.
_COUNTS = (1, 2, 3, MAX_BATCH)
# Difference allowed for sums in another order, as a fraction of the largest logit.
_TOLERANCE = 1e-3


def try_model(model: CloudModel, signature: Signature, inputs: Inputs) -> Rows:
    """Return a model's logits after checking that an input gets the same logits in any batch.

    The model runs on one input at a time, and then on batches of the first 1, 2, 3 and `MAX_BATCH`
    inputs. Because of rounding, a logit may differ by up to a thousandth of the largest absolute
    logit.

    Args:
        model: the model, loaded as `serve` loads it.
        signature: the task's signature.
        inputs: at least one input of the task, (N, *shape). The first `MAX_BATCH` inputs are used;
            if there are fewer, they are repeated.

    Returns:
        The logits of the `MAX_BATCH` inputs, (`MAX_BATCH`, O).

    Raises:
        ModelError: the model's input shape or number of outputs does not fit the signature, the
            model fails, its logits are not finite, or the logits of an input depend on the rest of
            its batch or on chance.
    """
    _check_signature(model, signature)
    repeated = np.resize(inputs[:MAX_BATCH], (MAX_BATCH, *signature.shape))
    rows = np.ascontiguousarray(repeated, np.float32)
    alone = np.concatenate([model.run(row[None]) for row in rows])
    _check_finite(model, alone)
    allowed = _TOLERANCE * float(np.abs(alone).max()) + np.finfo(np.float32).tiny
    for count in _COUNTS:
        together = model.run(rows[:count])
        difference = float(np.abs(together - alone[:count]).max())
        if not difference <= allowed:
            raise ModelError(
                f"{model.signature.model} gives an input other logits in a batch of {count} than "
                f"alone (they differ by {difference:.3g}): an answer must not depend on the rest "
                "of the batch or on chance; remove layers that mix inputs or draw random numbers"
            )
    return alone


def run_in_batches(model: CloudModel, inputs: Inputs) -> Rows:
    """Return a model's outputs (N, O) for inputs, computed in batches of up to `MAX_BATCH`.

    Args:
        model: the model.
        inputs: the inputs, (N, *shape).

    Raises:
        ModelError: the model fails, or its logits are not finite.
    """
    starts = range(0, max(len(inputs), 1), MAX_BATCH)
    logits = np.concatenate([model.run(inputs[start : start + MAX_BATCH]) for start in starts])
    _check_finite(model, logits)
    return logits


def _check_finite(model: CloudModel, logits: Rows) -> None:
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        raise ModelError(
            f"{model.signature.model} answers {len(bad)} of {len(logits)} inputs with logits that "
            f"are not finite (the first is input {bad[0]}), which devices reject as a bad answer; "
            "make the teacher's outputs finite"
        )


def _check_signature(model: CloudModel, signature: Signature) -> None:
    found = (list(model.signature.shape), model.signature.classes)
    wanted = (list(signature.shape), kind_of(signature).teacher_outputs)
    if found != wanted:
        raise ModelError(
            f"{model.signature.model} takes inputs of shape {found[0]} and has {found[1]} outputs, "
            f"but the task has inputs of shape {wanted[0]} and {wanted[1]} outputs"
        )
