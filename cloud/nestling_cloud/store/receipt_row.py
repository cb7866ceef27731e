"""A receipt as one flat row, and the checks that keep nonsense out of the store."""

from dataclasses import dataclass

from nestling.v1 import receipt_pb2
from nestling_cloud.errors import CloudError

# SQL integers are signed 64-bit.
LARGEST_INTEGER = 2**63 - 1
# The year 287396: a number that a browser, too, can tell from its neighbours.
LATEST_MS = 2**53 - 1
# The year 2100. A device without a clock of its own may be years off, but not by centuries.
_LAST_ANSWER_MS = 4_102_444_800_000
_MOST_BYTES = 1 << 40  # of one answer: a terabyte
_MOST_MEMORY_BYTES = 1 << 50
_LARGEST_INDEX = 2**53 - 1  # what JSON holds without a loss
# What says nothing about energy has no provenance either.
NO_PROVENANCE = "none"

# Every route has sums of its own, so a device must not make up any number of them.
MOST_CAPACITIES = 64
_MOST_ENERGIES = 16
_LONGEST_TEXT = 200
# A megajoule, eleven days: beyond any answer, and sums of what is allowed stay finite.
_LARGEST_COST = 1e9
# Budgets may say "as much as you like".
_LARGEST_LIMIT = 1e12
# Sums of float32 probabilities may come out a little above 1.
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


class ReceiptError(CloudError):
    """Telemetry that makes no sense: an unknown enum, a number that is none, no outbox."""


@dataclass(frozen=True, kw_only=True)
class ReceiptRow:
    """One answer of one device, flat, as it is stored and exported.

    `route` is "capacity-<k>" or "cloud"; `reason` and the provenances are the enums' names in
    lower case; `energy_provenance` is the least certain of its entries, "none" without any. The
    `offload` fields say what sending this input to the cloud would have taken; a device that does
    not tell has "none" there.
    """

    device: str
    outbox_id: str
    sequence: int
    input_index: int
    answered_at_ms: int
    bundle_version: str
    route: str
    reason: str
    answer: int
    device_answer: int | None
    resident_capacity: int
    latency_ms: float
    latency_provenance: str
    wall_ms: float
    energy_compute_mj: float
    energy_compute_provenance: str
    energy_radio_mj: float
    energy_radio_provenance: str
    energy_provenance: str
    bytes_up: int
    bytes_down: int
    budget_memory_bytes: int
    budget_latency_ms: float
    budget_energy_mj: float
    budget_link_mbit_s: float
    budget_link_rtt_ms: float
    budget_battery: float
    budget_offload_share: float
    success: tuple[float, ...]
    offload_energy_mj: float
    offload_energy_provenance: str
    offload_bytes: int
    fingerprint: int = 0


def flatten(device: str, outbox_id: str, receipt: receipt_pb2.Receipt) -> ReceiptRow:
    """Make a row of a receipt.

    Raises:
        ReceiptError: an unspecified or unknown enum, a number that is not finite, negative, or
            too large to be true, or a text that is too long.
    """
    budget = receipt.budget
    answered_by_device = receipt.HasField("device_answer")
    energy_mj, provenance = _energy(receipt)
    return ReceiptRow(
        device=device,
        outbox_id=outbox_id,
        sequence=check_sequence(receipt.sequence),
        input_index=_integer("input_index", receipt.input_index, _LARGEST_INDEX),
        answered_at_ms=_time("answered_at_ms", receipt.answered_at_ms),
        bundle_version=check_text("bundle_version", receipt.bundle_version),
        route=f"capacity-{_capacity('route.capacity', receipt.route.capacity)}"
        if receipt.route.capacity
        else "cloud",
        reason=_reason(receipt.route.reason),
        answer=receipt.answer,
        device_answer=receipt.device_answer if answered_by_device else None,
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
    )


def check_sequence(sequence: int) -> int:
    """Return a sequence that a receipt may have: 1 and up.

    Raises:
        ReceiptError: it is 0, or beyond what the store can count to.
    """
    if not 1 <= sequence <= LARGEST_INTEGER:
        raise ReceiptError(f"sequence {sequence} is not between 1 and 2^63 - 1")
    return sequence


def check_text(field: str, value: str) -> str:
    """Return a text that every database can hold.

    Raises:
        ReceiptError: it is longer than 200 characters, or has a NUL, which PostgreSQL refuses.
    """
    if len(value) > _LONGEST_TEXT:
        raise ReceiptError(f"{field} has {len(value)} characters, {_LONGEST_TEXT} are allowed")
    if "\0" in value:
        raise ReceiptError(f"{field} has a NUL in it")
    return value


def _capacity(field: str, value: int) -> int:
    if value > MOST_CAPACITIES:
        raise ReceiptError(f"{field} {value} is above {MOST_CAPACITIES}, the most of a nest")
    return value


def _success(receipt: receipt_pb2.Receipt) -> tuple[float, ...]:
    if len(receipt.success) > MOST_CAPACITIES + 1:
        raise ReceiptError(
            f"{len(receipt.success)} success probabilities, {MOST_CAPACITIES + 1} at most"
        )
    return tuple(_number("success", value, _LARGEST_PROBABILITY) for value in receipt.success)


def _integer(field: str, value: int, most: int) -> int:
    if not 0 <= value <= most:
        raise ReceiptError(f"{field} {value} is not between 0 and {most}")
    return value


def _time(field: str, value: int) -> int:
    if not 0 <= value <= _LAST_ANSWER_MS:
        raise ReceiptError(f"{field} {value} is not between 1970 and 2100")
    return value


def _number(field: str, value: float, most: float = _LARGEST_COST) -> float:
    if not 0 <= value <= most:  # nor is NaN
        raise ReceiptError(f"{field} {value} is not a number between 0 and {most:g}")
    return value


def _reason(value: receipt_pb2.Reason.ValueType) -> str:
    name = _REASONS.get(value)
    if name is None:
        raise ReceiptError(f"route.reason {value} is none that is known")
    return name


def _provenance(
    field: str, value: receipt_pb2.Provenance.ValueType, *, optional: bool = False
) -> str:
    name = _PROVENANCES.get(value)
    if name is None or (not optional and value == receipt_pb2.PROVENANCE_UNSPECIFIED):
        raise ReceiptError(f"{field} {value} is none that is known")
    return name


def _energy(receipt: receipt_pb2.Receipt) -> tuple[dict[str, float], dict[str, int]]:
    """Energy and least certain provenance by source."""
    if len(receipt.energy) > _MOST_ENERGIES:
        raise ReceiptError(f"{len(receipt.energy)} energies, {_MOST_ENERGIES} at most")
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
