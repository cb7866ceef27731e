"""Computes the chain, a hash over all receipts in an outbox up to a given sequence number.

The device computes the chain from the receipts that it wrote, and the cloud from the receipts that
it stored. An acknowledgement carries the cloud's chain, and a device deletes its receipts only if
its own chain is the same. A device therefore notices if receipts of another device were stored
under its sequence numbers. Chains guard against copied state folders and accidents, not against an
attacker: a device may write anything into its own outbox.
"""

import hashlib

# Chain of an outbox before its first receipt.
EMPTY_CHAIN = 0

_BITS = 64
# Odd, so that every earlier receipt still counts; the multiplier of Knuth's MMIX generator.
_MULTIPLIER = 6364136223846793005


def fingerprint(content: bytes) -> int:
    """Return the fingerprint of a receipt's serialized content, as a signed 64-bit integer."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little", signed=True)


def extend(chain: int, receipt_fingerprint: int) -> int:
    """Return a chain extended by one receipt.

    Args:
        chain: the chain up to the previous receipt, or `EMPTY_CHAIN` before the first.
        receipt_fingerprint: the fingerprint of the receipt.

    Returns:
        The new chain, a signed 64-bit integer that fits a database column and protobuf's sfixed64.
    """
    value = (chain * _MULTIPLIER + receipt_fingerprint + 1) % (1 << _BITS)
    return value - (1 << _BITS) if value >= 1 << (_BITS - 1) else value
