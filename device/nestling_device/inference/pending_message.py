"""Saves an answered input as a message, and interprets the cloud's later answer to it."""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Manifest, RoutingCurve
from nestling.v1.receipt_pb2 import FOLLOW_UP_AUDIT, FOLLOW_UP_DEFERRED, Receipt
from nestling.v1.stream_pb2 import PendingInput
from nestling_core.guarantee.audit_blocks import Verdict
from nestling_core.guarantee.shadow_beliefs import Judged, told_answers, verdict_of
from nestling_core.telemetry.receipt_chain import fingerprint
from nestling_device.inference.field_guarantee import CascadeKey
from nestling_device.inference.input_check import Window
from nestling_device.inference.offloader import OffloadRequest
from nestling_device.inference.outcome import Outcome
from nestling_device.sources.source import Origin

# Rounding to single precision may raise a probability above 1 slightly.
_ROUNDING = 1e-3


def pending_message(
    receipt: Receipt, outcome: Outcome, window: Window, origin: Origin, key: CascadeKey
) -> PendingInput:
    """Return the message about an input that the cloud is to be asked about later.

    Args:
        receipt: the receipt of the answer, as it is stored.
        outcome: the answer.
        window: the input.
        origin: where the input came from.
        key: the capacities that were loaded.
    """
    message = PendingInput(
        input_index=receipt.input_index,
        input=np.asarray(window, "<f4").tobytes(),
        bundle_version=receipt.bundle_version,
        follow_up=outcome.follow_up,
        follows=fingerprint(receipt.SerializeToString()),
        answered_at_ms=receipt.answered_at_ms,
        answer=receipt.answer,
        capacity=receipt.route.capacity,
        cascade_start=key.start,
        cascade_capacity=key.resident,
        confidence=outcome.prediction.confidence if outcome.prediction else 0.0,
        cloud_right=outcome.local.cloud_right if outcome.local else 0.0,
        origin_id=origin.id,
        origin_file=origin.file,
        origin_window=origin.window,
        charged=outcome.charged and outcome.follow_up == FOLLOW_UP_DEFERRED,
    )
    if outcome.sure is not None:
        message.believed.extend(outcome.sure.tolist())
    if outcome.audit is not None:
        message.block = outcome.audit.block
        message.answers.extend(outcome.audit.judged.answers.tolist())
        message.kept.extend(outcome.audit.judged.kept.tolist())
        if outcome.audit.sure is not None:
            message.shadows.extend(outcome.audit.sure.ravel().tolist())
    return message


def fits(message: PendingInput, manifest: Manifest) -> bool:
    """Return whether a message is complete for a bundle, as `pending_message` writes it."""
    classes, thresholds = len(manifest.signature.classes), len(message.answers)
    return (
        0 < message.cascade_start <= message.cascade_capacity <= len(manifest.capacities)
        and len(message.input) == 4 * int(np.prod(manifest.signature.shape))
        and message.answer < classes
        and all(map(_is_probability, (message.confidence, message.cloud_right)))
        and all(map(_is_probability, (*message.believed, *message.shadows)))
        and len(message.believed) in {0, classes}
        and len(message.kept) == thresholds
        and len(message.shadows) in {0, thresholds * classes}
        and all(answer < classes for answer in message.answers)
    )


def _is_probability(value: float) -> bool:
    return 0 <= value <= 1 + _ROUNDING


def request_of(message: PendingInput, manifest: Manifest) -> OffloadRequest:
    """Return the request that asks the cloud about a pending input."""
    window = np.frombuffer(message.input, "<f4").reshape(tuple(manifest.signature.shape))
    return OffloadRequest(
        window=window.astype(np.float32),
        index=message.input_index,
        device_answer=message.answer,
        audit=message.follow_up == FOLLOW_UP_AUDIT,
    )


def origin_of(message: PendingInput) -> Origin:
    """Return where a pending input came from."""
    return Origin(file=message.origin_file, window=message.origin_window, id=message.origin_id)


def revised_answer(message: PendingInput, curve: RoutingCurve, cloud: NDArray[np.float64]) -> int:
    """Return the answer that the device would have given if it had asked the cloud at once.

    Args:
        message: the pending input.
        curve: the routing curve of the capacities that were loaded.
        cloud: the class probabilities according to the cloud, (C,).
    """
    if not message.believed or not curve.HasField("filter"):
        return int(cloud.argmax())
    sure = np.array(message.believed, np.float64)[None]
    return int(told_answers(curve.filter, sure, cloud)[0])


def verdict_on(
    message: PendingInput, curve: RoutingCurve, cloud: NDArray[np.float64]
) -> Verdict | None:
    """Return what the cloud's answer shows about each threshold.

    The result is None if the input is not an audit under a tolerated risk.

    Args:
        message: the pending input.
        curve: the routing curve of the capacities that were loaded.
        cloud: the class probabilities according to the cloud, (C,).
    """
    if not message.block:
        return None
    judged = Judged(np.array(message.answers, np.intp), np.array(message.kept, np.bool_))
    if not message.shadows or not curve.HasField("filter"):
        return verdict_of(None, None, judged, cloud)
    sure = np.array(message.shadows, np.float64).reshape(len(judged.answers), -1)
    return verdict_of(curve.filter, sure, judged, cloud)
