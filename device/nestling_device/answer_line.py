"""One answer as a line of text, for people or for programs."""

import json

from nestling.v1.receipt_pb2 import PROVENANCE_UNSPECIFIED, Provenance, Reason, Receipt


def answer_line(receipt: Receipt, answer: str, *, as_json: bool) -> str:
    """Write what a receipt says.

    Args:
        receipt: of the answer.
        answer: name of its class.
        as_json: one JSON object instead of columns.
    """
    route = f"capacity-{receipt.route.capacity}" if receipt.route.capacity else "cloud"
    reason = Reason.Name(receipt.route.reason).removeprefix("REASON_").lower()
    energy_mj = sum(entry.energy_mj for entry in receipt.energy)
    # The enum rises from measured to modelled: a sum is as certain as its least certain part.
    provenances = [entry.provenance for entry in receipt.energy]
    energy_provenance = _name(max(provenances, default=PROVENANCE_UNSPECIFIED))
    if not as_json:
        return (
            f"{receipt.input_index:6d}  {answer:12s} {route:11s} {reason:18s} "
            f"{receipt.latency_ms:8.2f} ms {_name(receipt.latency_provenance)}  "
            f"{energy_mj:8.3f} mJ {energy_provenance}"
        )
    return json.dumps(
        {
            "input": receipt.input_index,
            "answer": answer,
            "route": route,
            "reason": reason,
            "latency_ms": round(receipt.latency_ms, 3),
            "latency_provenance": _name(receipt.latency_provenance),
            "energy_mj": round(energy_mj, 4),
            "energy_provenance": energy_provenance,
            "bundle": receipt.bundle_version,
        }
    )


def _name(provenance: Provenance.ValueType) -> str:
    return Provenance.Name(provenance).removeprefix("PROVENANCE_").lower()
