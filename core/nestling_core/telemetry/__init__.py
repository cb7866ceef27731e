"""Contains the telemetry code shared by the devices and the cloud.

`receipt_chain` computes a hash that reveals whether receipts with the same sequence numbers come
from another device. `host_state` encodes the STATE message, which says whether the cloud is online.
The package imports `parsing`.
"""

__all__ = ["host_state", "receipt_chain"]
