"""Formats answers as lines of text, in columns for people or as JSON for programs."""

import json
from typing import Any

from nestling.v1.receipt_pb2 import (
    PROVENANCE_UNSPECIFIED,
    REASON_AUDITED,
    REASON_DEFERRED,
    Reason,
    Receipt,
)
from nestling_core.kinds.kind import Answer, Kind
from nestling_device.energy.measured_costs import provenance_name
from nestling_device.inference.field_guarantee import GuaranteeStatus
from nestling_device.sources.source import Origin, one_line


def answer_line(receipt: Receipt, kind: Kind, origin: Origin, *, as_json: bool) -> str:
    """Return an answer as one line of text.

    Args:
        receipt: the answer's receipt.
        kind: the kind of the task.
        origin: the origin of the input.
        as_json: whether to return a JSON object instead of columns.

    Returns:
        The line, without a line break at its end.
    """
    answer = Answer(receipt.answer, tuple(receipt.values))
    route = f"capacity-{receipt.route.capacity}" if receipt.route.capacity else "cloud"
    reason = Reason.Name(receipt.route.reason).removeprefix("REASON_").lower()
    energy_mj = sum(entry.energy_mj for entry in receipt.energy)
    # The enum rises from measured to modelled, and a sum is as certain as its least certain part.
    provenances = [entry.provenance for entry in receipt.energy]
    energy_provenance = provenance_name(max(provenances, default=PROVENANCE_UNSPECIFIED))
    if not as_json:
        return (
            f"{receipt.input_index:6d}  {kind.text(answer):12s} {route:11s} {reason:18s} "
            f"{receipt.latency_ms:8.2f} ms {provenance_name(receipt.latency_provenance)}  "
            f"{energy_mj:8.3f} mJ {energy_provenance}{_last_columns(receipt, origin)}"
        )
    return json.dumps(
        {
            "input": receipt.input_index,
            **_origin_fields(origin),
            "answer": kind.text(answer),
            **kind.details(answer),
            "confidence": confidence_of(receipt),
            "route": route,
            "reason": reason,
            "latency_ms": round(receipt.latency_ms, 3),
            "latency_provenance": provenance_name(receipt.latency_provenance),
            "energy_mj": round(energy_mj, 4),
            "energy_provenance": energy_provenance,
            "bundle": receipt.bundle_version,
        }
    )


def revision_line(receipt: Receipt, kind: Kind, origin: Origin, *, as_json: bool) -> str:
    """Return the revision of an earlier answer as one line of text.

    Args:
        receipt: the receipt of the follow-up.
        kind: the kind of the task.
        origin: the origin of the input.
        as_json: whether to return a JSON object instead of columns.

    Returns:
        The line, without a line break at its end.
    """
    reason = Reason.Name(receipt.route.reason).removeprefix("REASON_").lower()
    answer = Answer(receipt.answer, tuple(receipt.values))
    first = kind.text(Answer(receipt.device_answer, tuple(receipt.device_values)))
    (energy,) = receipt.energy
    provenance = provenance_name(energy.provenance)
    if not as_json:
        return (
            f"{receipt.input_index:6d}  {kind.text(answer):12s} {'cloud':11s} {reason:18s} "
            f"{receipt.latency_ms / 1000:8.1f} s  later     "
            f"{energy.energy_mj:8.3f} mJ {provenance}  revises {first}{_origin_columns(origin)}"
        )
    return json.dumps(
        {
            "input": receipt.input_index,
            **_origin_fields(origin),
            "answer": kind.text(answer),
            **kind.details(answer),
            "revises": first,
            "route": "cloud",
            "reason": reason,
            "later_ms": round(receipt.latency_ms, 3),
            "energy_mj": round(energy.energy_mj, 4),
            "energy_provenance": provenance,
            "bundle": receipt.bundle_version,
        }
    )


def guarantee_text(status: GuaranteeStatus) -> str:
    """Return a text that says whether the tolerated risk is certified, and what it means."""
    risk = f"the cloud would change at most {status.risk:.1%} of the kept answers"
    if status.since_ms is not None:
        return f"certified: {risk}"
    missing = "" if status.inputs_to_go is None else f", about {status.inputs_to_go:,} inputs to go"
    return f"not certified{missing}: {risk}; every input is sent"


def guarantee_line(status: GuaranteeStatus) -> str:
    """Return a JSON object on one line that says whether the tolerated risk is certified."""
    return json.dumps(
        {
            "event": "guarantee",
            "risk": status.risk,
            "certified": status.since_ms is not None,
            "inputs_to_go": status.inputs_to_go,
        }
    )


def is_revision(receipt: Receipt) -> bool:
    """Return whether a follow-up revises an answer.

    It does if the cloud has answered a deferred input, or has changed an audited answer.

    Args:
        receipt: the receipt of the follow-up.
    """
    reason = receipt.route.reason
    changed = receipt.agreement < 1
    return reason == REASON_DEFERRED or (reason == REASON_AUDITED and changed)


def refusal_line(index: int, reason: str, origin: Origin) -> str:
    """Return a JSON object on one line that says why an input has no answer.

    Args:
        index: the number of the input.
        reason: the reason why the input has no answer.
        origin: the origin of the input.

    Returns:
        The line, without a line break at its end.
    """
    return json.dumps(
        {"event": "refused", "input": index, **_origin_fields(origin), "reason": reason}
    )


def confidence_of(receipt: Receipt) -> float | None:
    """Return the predicted probability that the answer is right.

    For an answer of the device, this is its confidence, given what it knows about the stream. For
    an answer of the cloud, it is the predicted success of the cloud on its own.

    Returns:
        A probability from 0 to 1, or None if the cloud answered and no capacity of the device ran
        on the input.
    """
    if not receipt.success:
        return None
    by_device = receipt.route.capacity > 0
    return round(receipt.device_confidence if by_device else receipt.success[-1], 4)


def _origin_fields(origin: Origin) -> dict[str, Any]:
    """Return those fields of an input's origin that are known."""
    return {
        **({"id": origin.id} if origin.id else {}),
        **({"file": origin.file, "window": origin.window} if origin.file else {}),
    }


def _last_columns(receipt: Receipt, origin: Origin) -> str:
    confidence = confidence_of(receipt)
    percent = "     -" if confidence is None else f"{100 * confidence:5.1f}%"
    return f"  {percent}{_origin_columns(origin)}"


def _origin_columns(origin: Origin) -> str:
    file = f"{origin.file}:{origin.window}" if origin.file else ""
    return "".join(f"  {one_line(name)}" for name in (file, origin.id) if name)
