"""Computes the chain: one number that stands for an outbox's content up to a sequence.

The device computes the chain from the receipts that it wrote, the cloud from those that it stored.
An acknowledgement carries the cloud's chain, and a device deletes its receipts only if its own
chain is the same. Receipts of another device that were stored under the same sequences are thus
never mistaken for its own. Chains guard against copied state folders and accidents, not against an
attacker: a device may write anything into its own outbox.
"""

import hashlib

# Chain of an outbox before its first receipt.
EMPTY_CHAIN = 0

_BITS = 64
# Odd, so that every earlier receipt still counts; the multiplier of Knuth's MMIX generator.
_MULTIPLIER = 6364136223846793005


def fingerprint(content: bytes) -> int:
    """Return a receipt's fingerprint, a signed 64-bit integer made from its serialized content."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little", signed=True)


def extend(chain: int, receipt_fingerprint: int) -> int:
    """Extend a chain by one receipt.

    Args:
        chain: chain up to the receipt before.
        receipt_fingerprint: the receipt's fingerprint.

    Returns:
        A signed 64-bit integer, which fits a database column and protobuf's sfixed64.
    """
    value = (chain * _MULTIPLIER + receipt_fingerprint + 1) % (1 << _BITS)
    return value - (1 << _BITS) if value >= 1 << (_BITS - 1) else value
