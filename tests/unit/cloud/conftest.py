from collections.abc import Callable

import pytest

from nestling.v1 import receipt_pb2


@pytest.fixture
def make_receipt() -> Callable[..., receipt_pb2.Receipt]:
    """Makes a sound receipt; keyword arguments replace fields."""

    def make(sequence: int = 1, **fields: object) -> receipt_pb2.Receipt:
        receipt = receipt_pb2.Receipt(
            sequence=sequence,
            input_index=max(sequence - 1, 0),
            answered_at_ms=1_700_000_000_000,
            bundle_version="tiny-1-00000000",
            route=receipt_pb2.Route(capacity=2, reason=receipt_pb2.REASON_ACCEPTED),
            answer=3,
            device_answer=3,
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
        )
        receipt.budget.memory_bytes = 16_000
        receipt.budget.latency_ms = 50.0
        for name, value in fields.items():
            setattr(receipt, name, value)
        return receipt

    return make
