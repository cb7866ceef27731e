"""Decides which options a budget admits: capacities by memory, the cloud by time on the link.

These rules hold on every device. The multiplexer's success probabilities and the device's policy
both start from them. The policy adds the device's own latency and energy for each option.
"""

from collections.abc import Sequence

from nestling.v1 import budget_pb2

# Protocol overhead of an offload: HTTP/2 and gRPC headers, message fields, TCP and IP headers.
FRAMING_BYTES = 300
_FLOAT32_BYTES = 4


def offload_bytes(shape: Sequence[int]) -> int:
    """Return the bytes on the link for one offloaded float32 input, including framing.

    Args:
        shape: shape of the input without the batch axis.
    """
    size = _FLOAT32_BYTES
    for length in shape:
        size *= length
    return size + FRAMING_BYTES


def transfer_ms(size_bytes: int, budget: budget_pb2.Budget) -> float:
    """Return the time to send a request and receive its answer, infinite without a link.

    Args:
        size_bytes: size of the request.
        budget: the budget with the link's throughput and round trip.
    """
    if not budget.link_mbit_s > 0:
        return float("inf")
    return budget.link_rtt_ms + size_bytes * 8 / (budget.link_mbit_s * 1e3)


def admitted_options(
    memory_bytes: Sequence[int], offload_size_bytes: int, budget: budget_pb2.Budget
) -> list[bool]:
    """Return which options a budget admits.

    Args:
        memory_bytes: memory that each capacity needs, for capacities 1 to K.
        offload_size_bytes: bytes on the link for one offload.
        budget: the budget.

    Returns:
        K + 1 flags: capacities 1 to K, admitted by memory, then the cloud, admitted by deadline.
    """
    capacities = [needed <= budget.memory_bytes for needed in memory_bytes]
    return [*capacities, transfer_ms(offload_size_bytes, budget) <= budget.latency_ms]
