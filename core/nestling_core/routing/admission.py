"""Decides which options a budget admits.

An option is a capacity of the student, or the cloud. A capacity is admitted by the memory that it
needs, and the cloud by the time that an offload takes on the link. These rules hold on every
device. The multiplexer's success probabilities and the device's policy both start from these rules.
The policy adds the device's own latency and energy for each option.
"""

from collections.abc import Sequence

from nestling.v1 import budget_pb2

# Bytes that gRPC and HTTP/2 add to a request and to its answer, without TCP/IP: frame and message
# headers, header fields (indexed from the second call on), trailers, pings. Counted on a socket
# with grpcio 1.85: the mean of calls 50 to 300 on one connection.
FRAMING_BYTES_UP = 58
FRAMING_BYTES_DOWN = 64
# Fields of both messages beside the tensor: names, shapes, parameters, logits.
_FIELD_BYTES = 178
FRAMING_BYTES = FRAMING_BYTES_UP + FRAMING_BYTES_DOWN + _FIELD_BYTES
_FLOAT32_BYTES = 4


def offload_bytes(shape: Sequence[int]) -> int:
    """Return the number of bytes on the link for one offloaded float32 input, including framing.

    Args:
        shape: the shape of the input without the batch axis.
    """
    size = _FLOAT32_BYTES
    for length in shape:
        size *= length
    return size + FRAMING_BYTES


def transfer_ms(size_bytes: int, budget: budget_pb2.Budget) -> float:
    """Return the time in milliseconds to send a request and receive its answer.

    The time is infinite without a link.

    Args:
        size_bytes: the number of bytes on the link.
        budget: the budget, which states the link's throughput and round trip.
    """
    if not budget.link_mbit_s > 0:
        return float("inf")
    return budget.link_rtt_ms + size_bytes * 8 / (budget.link_mbit_s * 1e3)


def fits(needed_bytes: int, memory_bytes: int) -> bool:
    """Return whether the memory that something needs is within a budget.

    Args:
        needed_bytes: the memory that is needed.
        memory_bytes: the memory that the budget admits.
    """
    return needed_bytes <= memory_bytes


def largest_capacity(needed_bytes: Sequence[int], memory_bytes: int) -> int:
    """Return the largest capacity that fits into memory, or 0 if none does.

    Args:
        needed_bytes: the memory that each capacity needs, for capacities 1 to K.
        memory_bytes: the memory that the budget admits.
    """
    fitting = [
        number for number, needed in enumerate(needed_bytes, start=1) if fits(needed, memory_bytes)
    ]
    return max(fitting, default=0)


def admitted_options(
    memory_bytes: Sequence[int], offload_size_bytes: int, budget: budget_pb2.Budget
) -> list[bool]:
    """Return a flag for each option that says whether a budget admits the option.

    Args:
        memory_bytes: the memory that each capacity needs, for capacities 1 to K.
        offload_size_bytes: the number of bytes on the link for one offload.
        budget: the device's budget.

    Returns:
        K + 1 flags. The flags of capacities 1 to K depend on the memory. The last flag is the
        cloud's, and depends on the deadline.
    """
    capacities = [fits(needed, budget.memory_bytes) for needed in memory_bytes]
    return [*capacities, transfer_ms(offload_size_bytes, budget) <= budget.latency_ms]
