"""Tries a cloud model before it is released, by the very code that will serve it."""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.cloud_model.model import MAX_BATCH, CloudModel, ModelError

Rows = NDArray[np.float32]

# One input, two, an odd number of them, and as many as the batcher ever runs at once.
_COUNTS = (1, 2, 3, MAX_BATCH)
# Part of the largest logit by which sums in another order may differ.
_TOLERANCE = 1e-3


def try_model(model: CloudModel, signature: Signature, inputs: Rows) -> Rows:
    """Run a model on real inputs, alone and in company, as requests will come.

    Args:
        model: as `serve` loads it.
        signature: of the task.
        inputs: (N, *shape), at least one; the first of them are tried.

    Returns:
        Its logits for the tried inputs, (`MAX_BATCH`, classes); inputs are repeated where there are
        fewer.

    Raises:
        ModelError: it is of another signature, its logits are not finite, or those of an input
            depend on the inputs beside it.
    """
    _check_signature(model, signature)
    rows = np.ascontiguousarray(np.resize(inputs, (MAX_BATCH, *signature.shape)), np.float32)
    alone = np.concatenate([model.run(row[None]) for row in rows])
    _check_finite(model, alone)
    allowed = _TOLERANCE * float(np.abs(alone).max()) + np.finfo(np.float32).tiny
    for count in _COUNTS:
        together = model.run(rows[:count])
        difference = float(np.abs(together - alone[:count]).max())
        if not difference <= allowed:
            raise ModelError(
                f"{model.signature.model} answers an input otherwise among {count} than alone "
                f"(logits off by {difference:.3g}): what it makes of an input may not depend on "
                "the others of its batch, nor on chance"
            )
    return alone


def run_in_batches(model: CloudModel, inputs: Rows) -> Rows:
    """Logits (N, classes) of many inputs, in batches as they are served.

    Raises:
        ModelError: logits that are not finite.
    """
    parts = np.split(inputs, range(MAX_BATCH, len(inputs), MAX_BATCH))
    logits = np.concatenate([model.run(part) for part in parts])
    _check_finite(model, logits)
    return logits


def _check_finite(model: CloudModel, logits: Rows) -> None:
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        raise ModelError(
            f"{model.signature.model} answers {len(bad)} of {len(logits)} inputs with logits that "
            f"are not finite, the first of them is input {bad[0]}: a device would take them for a "
            "bad answer"
        )


def _check_signature(model: CloudModel, signature: Signature) -> None:
    found = (list(model.signature.shape), model.signature.classes)
    wanted = (list(signature.shape), len(signature.classes))
    if found != wanted:
        raise ModelError(
            f"{model.signature.model} takes inputs of {found[0]} and knows {found[1]} classes, the "
            f"task has inputs of {wanted[0]} and {wanted[1]} classes"
        )
