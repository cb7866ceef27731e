"""Options for nesting a student's capacities: joint training, or pruning and growing."""

import math
from dataclasses import dataclass, field
from typing import Literal

from nestling_cloud.errors import CloudError

Way = Literal["joint", "grow"]
Rule = Literal["turns", "sum", "sandwich"]


class NestingError(CloudError):
    """A nesting option has an invalid value."""


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Options for training all capacities at the same time.

    Attributes:
        rule: the capacities that one optimizer step trains. "turns": one capacity after the other,
            the largest first, with epochs multiplied by the number of capacities, so that each sees
            the data as often as the recipe says. "sum": all of them. "sandwich": the largest, the
            smallest and one in between (US-Nets).
        teacher_share: 0 to 1, the share of the smaller capacities' loss that is computed against
            teacher and labels; the rest is against the largest capacity's answers.
    """

    rule: Rule = "turns"
    teacher_share: float = 1.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            NestingError: a value is outside its range.
        """
        if self.rule not in {"turns", "sum", "sandwich"}:
            raise NestingError(f"rule {self.rule!r}: choose 'turns', 'sum' or 'sandwich'")
        if not 0 <= self.teacher_share <= 1:
            raise NestingError(f"teacher_share {self.teacher_share}: choose 0 to 1")


@dataclass(frozen=True, kw_only=True)
class Grow:
    """Options for pruning the largest capacity down to the smallest and growing it again.

    Attributes:
        triplets: number of input triplets by which a layer's filters are ranked.
        prunings: pruning steps from one capacity's widths to the next smaller one's.
        pruning_share: share of the recipe's epochs for fine-tuning after each pruning step.
        growing_share: share of the recipe's epochs for training the weights that each capacity
            adds.
    """

    triplets: int = 4096
    prunings: int = 2
    pruning_share: float = 0.1
    growing_share: float = 1.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            NestingError: a value is outside its range.
        """
        if self.triplets < 1 or self.prunings < 1:
            raise NestingError(f"{self}: choose at least 1 triplet and 1 pruning")
        if not (0 < self.pruning_share < math.inf and 0 < self.growing_share < math.inf):
            raise NestingError(f"{self}: choose finite shares of the recipe's epochs above 0")


@dataclass(frozen=True, kw_only=True)
class Nesting:
    """How a student's capacities are nested.

    Attributes:
        way: method: "joint" (slimmable networks) or "grow" (NestDNN).
        joint: options of "joint".
        grow: options of "grow".
    """

    way: Way = "joint"
    joint: Joint = field(default_factory=Joint)
    grow: Grow = field(default_factory=Grow)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            NestingError: the method is unknown.
        """
        if self.way not in {"joint", "grow"}:
            raise NestingError(f"way {self.way!r}: choose 'joint' or 'grow'")
