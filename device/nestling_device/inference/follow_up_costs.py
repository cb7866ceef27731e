"""Adds up what follow-ups have taken, and divides it among their receipts."""

from nestling.v1.receipt_pb2 import PROVENANCE_MODELLED, Receipt
from nestling_device.inference.cloud_client import Exchange


class FollowUpCosts:
    """The cost of exchanges that no receipt has been charged with yet.

    An exchange without any answer has no receipt; the next follow-up is charged with it.
    """

    def __init__(self) -> None:
        """Start without any cost."""
        self._energy_mj = 0.0
        self._provenance = PROVENANCE_MODELLED
        self._bytes_up = 0
        self._bytes_down = 0

    def add(self, exchange: Exchange) -> None:
        """Add the cost of an exchange."""
        self._energy_mj += exchange.spent.energy_mj
        self._provenance = exchange.spent.energy_provenance
        self._bytes_up += exchange.bytes_up
        self._bytes_down += exchange.bytes_down

    def enter(self, receipt: Receipt, count: int) -> None:
        """Write one follow-up's share of the cost into its receipt.

        Args:
            receipt: the receipt, which is changed in place.
            count: the number of follow-ups that share the cost.
        """
        receipt.bytes_up = round(self._bytes_up / count)
        receipt.bytes_down = round(self._bytes_down / count)
        receipt.energy.add(
            source="radio", energy_mj=self._energy_mj / count, provenance=self._provenance
        )
