"""What widths cost on a device."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.learning.macs import student_macs
from nestling_core.student.config import StudentConfig
from nestling_core.student.plan import layout

Widths = tuple[int, ...]

# A Raspberry Pi class core, int8, order of magnitude: only ratios matter to a search.
_MACS_A_MICROSECOND = 1000.0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one inference, and of the weights that it needs.

    Attributes:
        latency_us: time of one inference.
        bytes: int8 weights.
    """

    latency_us: float
    bytes: int


CostOf = Callable[[Widths], Cost]


def counted_cost(signature: Signature, config: StudentConfig) -> CostOf:
    """Exact bytes, and a latency that is proportional to multiply-accumulates.

    Time is not linear in operations (FastDeepIoT, Yao et al. 2018): give a search a latency model
    that was fitted to measurements where there is one.

    Args:
        signature: of the task.
        config: the student's blocks; its capacities are not looked at.
    """

    def cost(widths: Widths) -> Cost:
        rows = (widths,) if widths == config.whole else (widths, config.whole)
        sized = StudentConfig(blocks=config.blocks, widths=rows)
        weights = [math.prod(t.prefixes[0].shape) for t in layout(signature, sized)]
        macs = student_macs(signature, sized, 1)
        return Cost(latency_us=macs / _MACS_A_MICROSECOND, bytes=sum(weights))

    return cost


def timed_cost(counted: CostOf, latency_us: Callable[[Widths], float]) -> CostOf:
    """Bytes as they are counted, and a latency of another source.

    Args:
        counted: whose bytes count.
        latency_us: of one inference at given widths.
    """
    return lambda widths: replace(counted(widths), latency_us=latency_us(widths))
