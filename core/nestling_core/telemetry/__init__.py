"""Holds the telemetry rules that device and cloud share.

The rules are those of receipt chains, which detect that receipts under the same sequence numbers
come from another device, and of the STATE message, which says whether the cloud is online. The
package imports `parsing`.
"""

__all__ = ["host_state", "receipt_chain"]
