"""One number for the content of an outbox up to a sequence, which device and cloud both compute.

The device computes it from the receipts that it wrote, the cloud from those that it stored. An
acknowledgement carries the cloud's number, and only a device that has the same one deletes its
receipts. So receipts of another device, stored under the same numbers, are never taken for its own.
Chains guard against copies and accidents, not against an attacker: a device may write anything into
its own outbox.
"""

import hashlib

# Of an outbox in which nothing is settled yet.
EMPTY_CHAIN = 0

_BITS = 64
# Odd, so that every earlier receipt still counts; the multiplier of Knuth's MMIX generator.
_MULTIPLIER = 6364136223846793005


def fingerprint(content: bytes) -> int:
    """Make a receipt's fingerprint from its serialised content: a signed 64-bit integer."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little", signed=True)


def extend(chain: int, receipt_fingerprint: int) -> int:
    """Extend a chain by one receipt.

    Args:
        chain: up to the receipt before.
        receipt_fingerprint: of the receipt.

    Returns:
        A signed 64-bit integer, which a database and protobuf's sfixed64 can hold.
    """
    value = (chain * _MULTIPLIER + receipt_fingerprint + 1) % (1 << _BITS)
    return value - (1 << _BITS) if value >= 1 << (_BITS - 1) else value
