"""Holds the telemetry rules that device and cloud share.

`receipt_chain` computes a hash that reveals whether receipts under the same sequence numbers come
from another device. `host_state` encodes the STATE message, which says whether the cloud is online.
The package imports `parsing`.
"""

__all__ = ["host_state", "receipt_chain"]
