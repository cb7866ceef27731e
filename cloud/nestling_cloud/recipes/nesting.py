"""How a student is nested, and what each way needs."""

import math
from dataclasses import dataclass, field
from typing import Literal

from nestling_cloud.errors import CloudError

Way = Literal["joint", "grow"]
Rule = Literal["turns", "sum", "sandwich"]


class NestingError(CloudError):
    """A way of nesting that cannot be gone."""


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Training every capacity at once.

    Attributes:
        rule: what an optimiser step trains. "turns": one capacity after the other, the largest
            first, over as many times more epochs, so that each sees the data as often as the
            recipe says. "sum": all of them. "sandwich": the largest, the smallest and one in
            between (US-Nets).
        teacher_share: 0 to 1, how much of the smaller capacities' loss is on teacher and labels;
            the rest is on what the largest capacity says.
    """

    rule: Rule = "turns"
    teacher_share: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a rule that is not known and a share that is none."""
        if self.rule not in {"turns", "sum", "sandwich"}:
            raise NestingError(f"rule {self.rule!r} is none of 'turns', 'sum' and 'sandwich'")
        if not 0 <= self.teacher_share <= 1:
            raise NestingError(f"teacher_share {self.teacher_share} is not within 0 to 1")


@dataclass(frozen=True, kw_only=True)
class Grow:
    """Pruning the largest capacity down to the smallest, then growing it again.

    Attributes:
        triplets: that rank the filters of a layer.
        prunings: steps from one capacity's widths to the next smaller one's.
        pruning_share: of the recipe's epochs, to tune again after each of these steps.
        growing_share: of the recipe's epochs, to train what each capacity adds.
    """

    triplets: int = 4096
    prunings: int = 2
    pruning_share: float = 0.1
    growing_share: float = 1.0

    def __post_init__(self) -> None:
        """Refuse steps that lead nowhere."""
        if self.triplets < 1 or self.prunings < 1:
            raise NestingError(f"{self}: at least 1 triplet and 1 pruning")
        if not (0 < self.pruning_share < math.inf and 0 < self.growing_share < math.inf):
            raise NestingError(f"{self}: shares of the recipe's epochs are finite and above 0")


@dataclass(frozen=True, kw_only=True)
class Nesting:
    """How a student is nested.

    Attributes:
        way: "joint" (slimmable networks) or "grow" (NestDNN).
        joint: read where the way is "joint".
        grow: read where the way is "grow".
    """

    way: Way = "joint"
    joint: Joint = field(default_factory=Joint)
    grow: Grow = field(default_factory=Grow)

    def __post_init__(self) -> None:
        """Refuse a way that is not known."""
        if self.way not in {"joint", "grow"}:
            raise NestingError(f"way {self.way!r} is neither 'joint' nor 'grow'")
