"""What a budget admits, whatever the device: memory for a capacity, time on the link for the cloud.

The multiplexer's success probabilities and the device's policy start from these rules. The policy
adds what only a device knows: its own latency and energy for each option.
"""

from collections.abc import Sequence

from nestling.v1 import budget_pb2

# Protocol around an offloaded input: HTTP/2 and gRPC headers, message fields, TCP and IP headers.
FRAMING_BYTES = 300
_FLOAT32_BYTES = 4


def offload_bytes(shape: Sequence[int]) -> int:
    """Bytes on the link for one offloaded input of a shape, framing included."""
    size = _FLOAT32_BYTES
    for length in shape:
        size *= length
    return size + FRAMING_BYTES


def transfer_ms(size_bytes: int, budget: budget_pb2.Budget) -> float:
    """Time for a request of a size to be sent and answered, infinite without a link."""
    if not budget.link_mbit_s > 0:
        return float("inf")
    return budget.link_rtt_ms + size_bytes * 8 / (budget.link_mbit_s * 1e3)


def admitted_options(
    memory_bytes: Sequence[int], offload_size_bytes: int, budget: budget_pb2.Budget
) -> list[bool]:
    """Which options a budget admits: capacity 1 to K by memory, then the cloud by deadline."""
    capacities = [needed <= budget.memory_bytes for needed in memory_bytes]
    return [*capacities, transfer_ms(offload_size_bytes, budget) <= budget.latency_ms]
