"""One number for the content of an outbox up to a sequence, which device and cloud both reckon.

The device reckons it from the receipts that it wrote, the cloud from those that it stored. An
acknowledgement carries the cloud's, and only a device that comes to the same number lets go of its
receipts. So what was stored of somebody else's receipts, under the same numbers, is never taken for
one's own. Chains guard against copies and accidents, not against an enemy: whoever may write an
outbox may write anything into it.
"""

import hashlib

# Of an outbox in which nothing is settled yet.
EMPTY_CHAIN = 0

_BITS = 64
# Odd, so that no receipt before is forgotten; the multiplier of Knuth's MMIX generator.
_MULTIPLIER = 6364136223846793005


def fingerprint(content: bytes) -> int:
    """Make a receipt's fingerprint from its serialised content: a signed 64-bit integer."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little", signed=True)


def extend(chain: int, mark: int) -> int:
    """Reckon the chain one receipt further.

    Args:
        chain: up to the receipt before.
        mark: fingerprint of the receipt.

    Returns:
        A signed 64-bit integer, which a database and protobuf's sfixed64 can hold.
    """
    value = (chain * _MULTIPLIER + mark + 1) % (1 << _BITS)
    return value - (1 << _BITS) if value >= 1 << (_BITS - 1) else value
