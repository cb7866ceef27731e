"""Makes receipts and batches as devices send them."""

from collections.abc import Callable, Sequence

from nestling.v1 import receipt_pb2
from nestling_core.telemetry.receipt_chain import extend
from nestling_device.telemetry.outbox import Outbox

NOW_MS = 1_700_000_000_000

MakeReceipt = Callable[..., receipt_pb2.Receipt]
MakeBatch = Callable[..., receipt_pb2.ReceiptBatch]


def make_receipt(sequence: int = 1, **fields: object) -> receipt_pb2.Receipt:
    """Make a valid receipt; keyword arguments replace fields."""
    receipt = receipt_pb2.Receipt(
        sequence=sequence,
        input_index=max(sequence - 1, 0),
        answered_at_ms=NOW_MS,
        bundle_version="tiny-1-00000000",
        route=receipt_pb2.Route(capacity=2, reason=receipt_pb2.REASON_ACCEPTED),
        answer=3,
        device_answer=3,
        device_confidence=0.75,
        resident_capacity=2,
        latency_ms=1.5,
        latency_provenance=receipt_pb2.PROVENANCE_MODELLED,
        wall_ms=0.25,
        energy=[
            receipt_pb2.Energy(
                source="compute", energy_mj=2.0, provenance=receipt_pb2.PROVENANCE_MODELLED
            ),
            receipt_pb2.Energy(
                source="radio", energy_mj=0.5, provenance=receipt_pb2.PROVENANCE_MEASURED
            ),
        ],
        bytes_up=10,
        bytes_down=20,
        success=[0.5, 0.75, 1.0],
        offload_energy_mj=7.0,
        offload_energy_provenance=receipt_pb2.PROVENANCE_MODELLED,
        offload_bytes=300,
    )
    receipt.budget.memory_bytes = 16_000
    receipt.budget.latency_ms = 50.0
    for name, value in fields.items():
        setattr(receipt, name, value)
    return receipt


def make_follow_up(
    first: receipt_pb2.Receipt,
    sequence: int = 2,
    *,
    reason: receipt_pb2.Reason.ValueType,
    why: receipt_pb2.FollowUp.ValueType,
    **fields: object,
) -> receipt_pb2.Receipt:
    """Make the follow-up of a receipt: the cloud agrees, or gave no answer.

    Args:
        first: the receipt of the answer.
        sequence: sequence of the follow-up.
        reason: reason of the follow-up.
        why: why the cloud was to be asked.
        fields: replacement fields.
    """
    receipt = make_receipt(
        sequence,
        input_index=first.input_index,
        answered_at_ms=first.answered_at_ms,
        answer=first.answer,
        device_answer=first.answer,
        latency_ms=5000.0,
        offload_energy_mj=0.0,
        offload_bytes=0,
        follow_up=why,
        follows=first.fingerprint,
        offload_energy_provenance=receipt_pb2.PROVENANCE_UNSPECIFIED,
    )
    expired = reason == receipt_pb2.REASON_EXPIRED
    receipt.route.capacity = first.route.capacity if expired else 0
    receipt.route.reason = reason
    del receipt.energy[0]  # nothing is computed
    for name, value in fields.items():
        setattr(receipt, name, value)
    if not expired:
        receipt.agreement = float(receipt.answer == receipt.device_answer)
    return receipt


def make_batch(
    *sequences: int,
    outbox: str = "outbox",
    gaps: Sequence[tuple[int, int]] = (),
    acknowledged: int = 0,
    **fields: object,
) -> receipt_pb2.ReceiptBatch:
    """Make a batch of valid receipts.

    Args:
        sequences: sequences of the receipts.
        outbox: id of the outbox.
        gaps: first and last sequence of each gap.
        acknowledged: sequence up to which the cloud has acknowledged.
        fields: replacement fields of every receipt.
    """
    return receipt_pb2.ReceiptBatch(
        outbox_id=outbox,
        acknowledged_sequence=acknowledged,
        receipts=[make_receipt(sequence, **fields) for sequence in sequences],
        gaps=[receipt_pb2.Gap(first_sequence=a, last_sequence=b) for a, b in gaps],
    )


def acknowledgement(outbox: Outbox, sequence: int) -> receipt_pb2.OutboxAcknowledgement:
    """Make the acknowledgement of a cloud that has stored the outbox's batch up to a sequence.

    Args:
        outbox: the device's outbox.
        sequence: last stored sequence.
    """
    batch = outbox.batch(10**6).batch
    chain = batch.acknowledged_chain
    for gap in batch.gaps:
        chain = gap.chain
    for entry in batch.receipts:
        if entry.sequence <= sequence:
            chain = extend(chain, entry.fingerprint)
    return receipt_pb2.OutboxAcknowledgement(
        outbox_id=batch.outbox_id, sequence=sequence, chain=chain
    )
