"""Estimates what a capacity of given widths (channels of each layer) costs on a device."""

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
    """The cost of one capacity on a device.

    Attributes:
        latency_us: the time of one inference, in microseconds.
        bytes: the size of the capacity's int8 weights, in bytes.
    """

    latency_us: float
    bytes: int


CostOf = Callable[[Widths], Cost]


def counted_cost(signature: Signature, config: StudentConfig) -> CostOf:
    """Return a cost function that counts bytes and multiply-accumulates.

    The bytes are exact. The estimated latency is proportional to the multiply-accumulates, although
    the real latency of networks is not (FastDeepIoT, Yao et al. 2018). If a latency model fitted to
    measurements is available, use it with `timed_cost` instead.

    Args:
        signature: the shape and classes of the task.
        config: the student's sizes, of which only the blocks are used.
    """

    def cost(widths: Widths) -> Cost:
        rows = (widths,) if widths == config.whole else (widths, config.whole)
        sized = replace(config, widths=rows)
        weights = [math.prod(t.prefixes[0].shape) for t in layout(signature, sized)]
        macs = student_macs(signature, sized, 1)
        return Cost(latency_us=macs / _MACS_A_MICROSECOND, bytes=sum(weights))

    return cost


def timed_cost(counted: CostOf, latency_us: Callable[[Widths], float]) -> CostOf:
    """Return a cost function that takes its latency from a separate model.

    Args:
        counted: the cost function that provides the bytes.
        latency_us: the function that returns the time of one inference at given widths, in
            microseconds.
    """
    return lambda widths: replace(counted(widths), latency_us=latency_us(widths))
