"""Decides which options fit into a budget's memory and latency, on any device.

An option is a capacity of the student, or the cloud. A capacity is admitted if it fits into the
budget's memory, and the cloud if the transfer of an offload fits into the budget's latency. These
rules are the same on every device, and the multiplexer follows them. Before a device loads a
capacity or sends an input, it also compares the latency and the energy that this costs on the
device with the budget.
"""

from collections.abc import Sequence

from nestling.v1 import budget_pb2, bundle_pb2
from nestling_core.wire.forms import FP16, FP32, wire_name

# Bytes that gRPC and HTTP/2 add to a request and to its answer, without TCP/IP: frame and message
# headers, header fields (indexed from the second call on), trailers, pings. Counted on a socket
# with grpcio 1.85: the mean of calls 50 to 300 on one connection.
FRAMING_BYTES_UP = 58
FRAMING_BYTES_DOWN = 64
# Fields of both messages beside the tensor: names, shapes, parameters, logits.
_FIELD_BYTES = 195
FRAMING_BYTES = FRAMING_BYTES_UP + FRAMING_BYTES_DOWN + _FIELD_BYTES
# What a request has more if its tensor is of the type BYTES: the name of the form.
_NAME_BYTES = 24


def offload_bytes(form: bundle_pb2.WireForm) -> int:
    """Return the mean number of bytes that cross the link when an input is offloaded.

    The number includes the request, the answer, and the framing by gRPC and HTTP/2, but not the
    TCP/IP headers.

    Args:
        form: the form in which inputs are sent.
    """
    name = 0 if wire_name(form.name) in {FP32, FP16} else _NAME_BYTES
    return round(form.payload_bytes) + name + FRAMING_BYTES


def transfer_ms(size_bytes: int, budget: budget_pb2.Budget) -> float:
    """Return the modelled time in milliseconds to send a request and receive its answer.

    Only the transfer over the link counts, not the cloud's computation. The time is infinite if
    there is no link.

    Args:
        size_bytes: the number of bytes on the link, both ways.
        budget: the budget, which states the link's throughput and round-trip time.
    """
    if not budget.link_mbit_s > 0:
        return float("inf")
    return budget.link_rtt_ms + size_bytes * 8 / (budget.link_mbit_s * 1e3)


def fits(needed_bytes: int, memory_bytes: int) -> bool:
    """Return whether a memory budget is large enough for what is needed.

    Args:
        needed_bytes: the memory that is needed, in bytes.
        memory_bytes: the memory budget, in bytes.
    """
    return needed_bytes <= memory_bytes


def largest_capacity(needed_bytes: Sequence[int], memory_bytes: int) -> int:
    """Return the largest capacity that fits into a memory budget, or 0 if none does.

    Args:
        needed_bytes: the memory that each capacity needs, in bytes, for capacities 1 to K.
        memory_bytes: the memory budget, in bytes.
    """
    fitting = [
        number for number, needed in enumerate(needed_bytes, start=1) if fits(needed, memory_bytes)
    ]
    return max(fitting, default=0)


def admitted_options(
    memory_bytes: Sequence[int], offload_size_bytes: int, budget: budget_pb2.Budget
) -> list[bool]:
    """Return, for each option, whether a budget admits it.

    Args:
        memory_bytes: the memory that each capacity needs, in bytes, for capacities 1 to K.
        offload_size_bytes: the number of bytes on the link for one offload, both ways.
        budget: the device's budget.

    Returns:
        K + 1 flags. The flags of capacities 1 to K depend on the budget's memory. The last flag is
        the cloud's, and depends on the budget's link and latency.
    """
    capacities = [fits(needed, budget.memory_bytes) for needed in memory_bytes]
    return [*capacities, transfer_ms(offload_size_bytes, budget) <= budget.latency_ms]
