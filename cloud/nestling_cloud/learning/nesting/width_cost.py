"""Estimate what given widths cost on a device."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.learning.macs import student_macs
from nestling_core.student.config import StudentConfig
from nestling_core.student.plan import layout

Widths = tuple[int, ...]

# Order of magnitude of an int8 core of the Raspberry Pi class; a search only uses ratios.
_MACS_A_MICROSECOND = 1000.0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of one capacity.

    Attributes:
        latency_us: time of one inference.
        bytes: size of its int8 weights.
    """

    latency_us: float
    bytes: int


CostOf = Callable[[Widths], Cost]


def counted_cost(signature: Signature, config: StudentConfig) -> CostOf:
    """Return a cost function with exact bytes and a latency proportional to multiply-accumulates.

    Real time is not linear in operations (FastDeepIoT, Yao et al. 2018). Where a latency model
    fitted to measurements is available, use `timed_cost` with it.

    Args:
        signature: of the task.
        config: the student's blocks; its capacities are ignored.
    """

    def cost(widths: Widths) -> Cost:
        rows = (widths,) if widths == config.whole else (widths, config.whole)
        sized = StudentConfig(blocks=config.blocks, widths=rows)
        weights = [math.prod(t.prefixes[0].shape) for t in layout(signature, sized)]
        macs = student_macs(signature, sized, 1)
        return Cost(latency_us=macs / _MACS_A_MICROSECOND, bytes=sum(weights))

    return cost


def timed_cost(counted: CostOf, latency_us: Callable[[Widths], float]) -> CostOf:
    """Return a cost function with the bytes of one function and the latency of another.

    Args:
        counted: provides the bytes.
        latency_us: returns the time of one inference at given widths.
    """
    return lambda widths: replace(counted(widths), latency_us=latency_us(widths))
