"""Converts valid receipts to flat rows, and rejects invalid receipts."""

import math
from collections.abc import Sequence

from nestling.v1 import receipt_pb2
from nestling_cloud.errors import CloudError
from nestling_cloud.store.receipt_row import (
    AUDIT,
    AUDITED,
    DEFERRED,
    EXPIRED,
    LARGEST_INTEGER,
    LATEST_ANSWER_MS,
    LONGEST_TEXT,
    NO_PROVENANCE,
    ReceiptRow,
)

_MOST_BYTES = 1 << 40  # of one answer: a terabyte
_MOST_MEMORY_BYTES = 1 << 50
_LARGEST_INDEX = 2**53 - 1  # the largest integer that JSON carries without loss

# Each route has its own sums, so a device must not be able to invent routes without limit.
_MOST_CAPACITIES = 64
_MOST_ENERGIES = 16
_MOST_VALUES = 64
# A megajoule or eleven days: more than any answer takes, and sums of allowed values stay finite.
_LARGEST_COST = 1e9
# Higher than costs, because a budget may be practically unlimited.
_LARGEST_LIMIT = 1e12
# Rounding to float32 may raise a probability above 1 slightly.
_LARGEST_PROBABILITY = 1.001
_REASONS = {
    value: name.removeprefix("REASON_").lower()
    for name, value in receipt_pb2.Reason.items()
    if value != receipt_pb2.REASON_UNSPECIFIED
}
_PROVENANCES: dict[int, str] = {
    int(value): name.removeprefix("PROVENANCE_").lower()
    for name, value in receipt_pb2.Provenance.items()
    if value != receipt_pb2.PROVENANCE_UNSPECIFIED
} | {int(receipt_pb2.PROVENANCE_UNSPECIFIED): NO_PROVENANCE}
_FOLLOW_UPS: dict[int, str] = {
    receipt_pb2.FOLLOW_UP_UNSPECIFIED: "",
    receipt_pb2.FOLLOW_UP_DEFERRED: DEFERRED,
    receipt_pb2.FOLLOW_UP_AUDIT: AUDIT,
}
# For each reason of a follow-up, why the cloud may have been asked.
_FOLLOW_UPS_WITH = {DEFERRED: (DEFERRED,), AUDITED: (AUDIT,), EXPIRED: (DEFERRED, AUDIT)}


class ReceiptError(CloudError):
    """Raised when a receipt has an invalid field, or a batch has an invalid outbox id."""


def flatten(device: str, outbox_id: str, receipt: receipt_pb2.Receipt) -> ReceiptRow:
    """Return the row for a receipt.

    Args:
        device: the id of the device that sent the receipt.
        outbox_id: the id of the outbox that the receipt came from.
        receipt: the receipt as received.

    Raises:
        ReceiptError: the receipt has at least one of these faults:

            - an enum value is unspecified or unknown, or an energy source is unknown;
            - a number is negative, implausibly large or not finite (the values of an answer may be
              negative);
            - a string is too long or contains a NUL;
            - there are too many energies, probabilities or values of an answer;
            - a confidence or an agreement is given without an answer of the device;
            - the agreement is not from 0 to 1, or is missing in a follow-up that the cloud
              answered;
            - a first receipt has a reason that only follow-ups have, or a follow-up lacks such a
              reason, a matching `follow_up` or the answer that was given first.
    """
    budget = receipt.budget
    energy_mj, provenance = _energy(receipt)
    reason = _reason(receipt.route.reason)
    return ReceiptRow(
        device=device,
        outbox_id=outbox_id,
        sequence=check_sequence(receipt.sequence),
        input_index=_integer("input_index", receipt.input_index, _LARGEST_INDEX),
        answered_at_ms=_time("answered_at_ms", receipt.answered_at_ms),
        bundle_version=_check_version(receipt.bundle_version),
        route=_route(receipt.route.capacity),
        reason=reason,
        answer=_integer("answer", receipt.answer, LARGEST_INTEGER),
        device_answer=_device_answer(receipt),
        device_confidence=_confidence(receipt),
        resident_capacity=_capacity("resident_capacity", receipt.resident_capacity),
        latency_ms=_number("latency_ms", receipt.latency_ms),
        latency_provenance=_provenance("latency_provenance", receipt.latency_provenance),
        wall_ms=_number("wall_ms", receipt.wall_ms),
        energy_compute_mj=energy_mj["compute"],
        energy_compute_provenance=_PROVENANCES[provenance["compute"]],
        energy_radio_mj=energy_mj["radio"],
        energy_radio_provenance=_PROVENANCES[provenance["radio"]],
        # The enum rises from measured to modelled, that is, from certain to uncertain.
        energy_provenance=_PROVENANCES[max(provenance.values())],
        bytes_up=_integer("bytes_up", receipt.bytes_up, _MOST_BYTES),
        bytes_down=_integer("bytes_down", receipt.bytes_down, _MOST_BYTES),
        budget_memory_bytes=_integer(
            "budget.memory_bytes", budget.memory_bytes, _MOST_MEMORY_BYTES
        ),
        budget_latency_ms=_number("budget.latency_ms", budget.latency_ms, _LARGEST_LIMIT),
        budget_energy_mj=_number("budget.energy_mj", budget.energy_mj, _LARGEST_LIMIT),
        budget_link_mbit_s=_number("budget.link_mbit_s", budget.link_mbit_s, _LARGEST_LIMIT),
        budget_link_rtt_ms=_number("budget.link_rtt_ms", budget.link_rtt_ms, _LARGEST_LIMIT),
        budget_battery=_number("budget.battery", budget.battery, 1.0),
        budget_offload_share=_number("budget.offload_share", budget.offload_share, 1.0),
        success=_success(receipt),
        offload_energy_mj=_number("offload_energy_mj", receipt.offload_energy_mj),
        offload_energy_provenance=_provenance(
            "offload_energy_provenance", receipt.offload_energy_provenance, optional=True
        ),
        offload_bytes=_integer("offload_bytes", receipt.offload_bytes, _MOST_BYTES),
        fingerprint=receipt.fingerprint,
        follow_up=_follow_up(receipt, reason),
        follows=receipt.follows if receipt.HasField("follows") else None,
        values=_values("values", receipt.values),
        device_values=_values("device_values", receipt.device_values),
        agreement=_agreement(receipt, reason),
    )


def check_sequence(sequence: int) -> int:
    """Return a sequence unchanged if it is valid.

    Raises:
        ReceiptError: the sequence is below 1, or above the largest 64-bit SQL integer.
    """
    if not 1 <= sequence <= LARGEST_INTEGER:
        raise ReceiptError(f"sequence {sequence} is not between 1 and 2^63 - 1")
    return sequence


def _check_version(version: str) -> str:
    if len(version) > LONGEST_TEXT:
        raise ReceiptError(
            f"bundle_version has {len(version)} characters; at most {LONGEST_TEXT} allowed"
        )
    if "\0" in version:  # PostgreSQL rejects it
        raise ReceiptError("bundle_version contains a NUL")
    return version


def _capacity(field: str, value: int) -> int:
    if value > _MOST_CAPACITIES:
        raise ReceiptError(f"{field} {value} is above {_MOST_CAPACITIES}, the largest capacity")
    return value


def _success(receipt: receipt_pb2.Receipt) -> tuple[float, ...]:
    if len(receipt.success) > _MOST_CAPACITIES + 1:
        raise ReceiptError(
            f"{len(receipt.success)} success probabilities; at most {_MOST_CAPACITIES + 1} allowed"
        )
    return tuple(_number("success", value, _LARGEST_PROBABILITY) for value in receipt.success)


def _confidence(receipt: receipt_pb2.Receipt) -> float:
    confidence = _number("device_confidence", receipt.device_confidence, _LARGEST_PROBABILITY)
    if confidence and not receipt.HasField("device_answer"):
        raise ReceiptError(f"device_confidence {confidence} without a device_answer")
    return min(confidence, 1.0)


def _route(capacity: int) -> str:
    return f"capacity-{_capacity('route.capacity', capacity)}" if capacity else "cloud"


def _device_answer(receipt: receipt_pb2.Receipt) -> int | None:
    if not receipt.HasField("device_answer"):
        return None
    return _integer("device_answer", receipt.device_answer, LARGEST_INTEGER)


def _values(field: str, values: Sequence[float]) -> tuple[float, ...]:
    if len(values) > _MOST_VALUES:
        raise ReceiptError(f"{len(values)} {field}; at most {_MOST_VALUES} allowed")
    for value in values:
        if not math.isfinite(value):
            raise ReceiptError(f"{field} {value} is not finite")
    return tuple(values)


def _agreement(receipt: receipt_pb2.Receipt, reason: str) -> float | None:
    if not receipt.HasField("agreement"):
        if reason in {DEFERRED, AUDITED}:
            raise ReceiptError(f"follow-up with route.reason {reason} without an agreement")
        return None
    if not receipt.HasField("device_answer"):
        raise ReceiptError("agreement without a device_answer")
    return _number("agreement", receipt.agreement, 1.0)


def _integer(field: str, value: int, most: int) -> int:
    if not 0 <= value <= most:
        raise ReceiptError(f"{field} {value} is not between 0 and {most}")
    return value


def _time(field: str, value: int) -> int:
    if not 0 <= value <= LATEST_ANSWER_MS:
        raise ReceiptError(f"{field} {value} is not between 1970 and 2100")
    return value


def _number(field: str, value: float, most: float = _LARGEST_COST) -> float:
    if not 0 <= value <= most:  # rejects NaN too
        raise ReceiptError(f"{field} {value} is not a number between 0 and {most:g}")
    return value


def _reason(value: receipt_pb2.Reason.ValueType) -> str:
    name = _REASONS.get(value)
    if name is None:
        raise ReceiptError(f"route.reason {value} is unknown")
    return name


def _follow_up(receipt: receipt_pb2.Receipt, reason: str) -> str:
    """Return why the cloud is asked afterwards, or "" if it is not asked.

    Raises:
        ReceiptError: the fields of a follow-up contradict each other.
    """
    why = _FOLLOW_UPS.get(receipt.follow_up)
    if why is None:
        raise ReceiptError(f"follow_up {receipt.follow_up} is unknown")
    if not receipt.HasField("follows"):
        if reason in _FOLLOW_UPS_WITH:
            raise ReceiptError(f"route.reason {reason} in a receipt without follows")
        return why
    if why not in _FOLLOW_UPS_WITH.get(reason, ()):
        raise ReceiptError(f"route.reason {reason} in a follow-up with follow_up {why or 'unset'}")
    if not receipt.HasField("device_answer"):
        raise ReceiptError("follow-up without a device_answer, the answer that was given first")
    return why


def _provenance(
    field: str, value: receipt_pb2.Provenance.ValueType, *, optional: bool = False
) -> str:
    name = _PROVENANCES.get(value)
    if name is None or (not optional and value == receipt_pb2.PROVENANCE_UNSPECIFIED):
        raise ReceiptError(f"{field} {value} is unknown")
    return name


def _energy(receipt: receipt_pb2.Receipt) -> tuple[dict[str, float], dict[str, int]]:
    """Return the energy and the least certain provenance of each source of energy.

    Returns:
        A mapping from source ("compute" or "radio") to the energy in mJ, and a mapping from source
        to the enum value of the provenance. Both values are 0 for a source without an entry.

    Raises:
        ReceiptError: there are too many entries, or an entry is invalid.
    """
    if len(receipt.energy) > _MOST_ENERGIES:
        raise ReceiptError(
            f"{len(receipt.energy)} energy entries; at most {_MOST_ENERGIES} allowed"
        )
    energy_mj = {"compute": 0.0, "radio": 0.0}
    provenance = {"compute": 0, "radio": 0}
    for entry in receipt.energy:
        source = entry.source
        if source not in energy_mj:
            raise ReceiptError(f"energy source {source[:40]!r} is not compute or radio")
        _provenance("energy.provenance", entry.provenance)
        energy_mj[source] += _number(f"energy of {source}", entry.energy_mj)
        provenance[source] = max(provenance[source], entry.provenance)
    return energy_mj, provenance
