"""Builds the messages that keep answered inputs, and interprets the cloud's later answers."""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Manifest, RoutingCurve
from nestling.v1.receipt_pb2 import FOLLOW_UP_AUDIT, FOLLOW_UP_DEFERRED, Receipt
from nestling.v1.stream_pb2 import PendingInput
from nestling_core.belief.evidence import softmax
from nestling_core.guarantee.shadow_beliefs import told_answers
from nestling_core.kinds.kind import Answer, Kind, answer_of
from nestling_core.kinds.of_signature import kind_of
from nestling_core.telemetry.receipt_chain import fingerprint
from nestling_device.inference.field_guarantee import CascadeKey
from nestling_device.inference.input_check import Window
from nestling_device.inference.offloader import OffloadRequest
from nestling_device.inference.outcome import AuditOfThresholds, Outcome, Shadows
from nestling_device.sources.source import Origin

# Rounding to single precision may raise a probability above 1 slightly.
_ROUNDING = 1e-3


def pending_message(
    receipt: Receipt, outcome: Outcome, window: Window, origin: Origin, key: CascadeKey
) -> PendingInput:
    """Return the message about an input that the cloud is to be asked about later.

    Args:
        receipt: the receipt of the answer, as it is stored.
        outcome: the answer and its route.
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
        values=receipt.values,
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
        message.kept.extend(outcome.audit.kept.tolist())
        if outcome.audit.shadows is not None:
            message.answers.extend(outcome.audit.shadows.answers.tolist())
            message.shadows.extend(outcome.audit.shadows.sure.ravel().tolist())
    return message


def fits(message: PendingInput, manifest: Manifest) -> bool:
    """Return whether a message has all parts, with valid values, that a bundle needs."""
    kind, thresholds = kind_of(manifest.signature), len(message.answers)
    classes = kind.teacher_outputs
    return (
        0 < message.cascade_start <= message.cascade_capacity <= len(manifest.capacities)
        and len(message.input) == 4 * int(np.prod(manifest.signature.shape))
        and kind.is_valid(answer_in(message))
        and all(map(_is_probability, (message.confidence, message.cloud_right)))
        and all(map(_is_probability, (*message.believed, *message.shadows)))
        and len(message.believed) in {0, classes}
        and bool(message.block) == bool(message.kept)
        and thresholds in {0, len(message.kept)}
        and len(message.shadows) == thresholds * classes
        and all(answer < classes for answer in message.answers)
    )


def answer_in(message: PendingInput) -> Answer:
    """Return the device's answer in a message."""
    return Answer(message.answer, tuple(message.values))


def _is_probability(value: float) -> bool:
    return 0 <= value <= 1 + _ROUNDING


def request_of(message: PendingInput, manifest: Manifest) -> OffloadRequest:
    """Return the request that asks the cloud about a pending input."""
    window = np.frombuffer(message.input, "<f4").reshape(tuple(manifest.signature.shape))
    return OffloadRequest(
        window=window.astype(np.float32),
        index=message.input_index,
        device_answer=answer_in(message),
        audit=message.follow_up == FOLLOW_UP_AUDIT,
    )


def origin_of(message: PendingInput) -> Origin:
    """Return where a pending input came from."""
    return Origin(file=message.origin_file, window=message.origin_window, id=message.origin_id)


def revised_answer(
    message: PendingInput, curve: RoutingCurve, kind: Kind, outputs: NDArray[np.float32]
) -> Answer:
    """Return the answer that the device would have given if it had asked the cloud at once.

    Args:
        message: the pending input.
        curve: the routing curve of the capacities that were loaded.
        kind: the kind of the task.
        outputs: the outputs of the cloud's model, (O,).
    """
    if not message.believed or not curve.HasField("filter"):
        return answer_of(kind, outputs)
    sure = np.array(message.believed, np.float64)[None]
    return Answer(int(told_answers(curve.filter, sure, softmax(outputs))[0]))


def audit_in(message: PendingInput) -> AuditOfThresholds | None:
    """Return what each threshold did, or None if this is no audit under a tolerated risk.

    Args:
        message: the pending input.
    """
    if not message.block:
        return None
    kept, shadows = np.array(message.kept, np.bool_), None
    if message.shadows:
        sure = np.array(message.shadows, np.float64).reshape(len(kept), -1)
        shadows = Shadows(np.array(message.answers, np.intp), sure)
    return AuditOfThresholds(block=message.block, kept=kept, shadows=shadows)
