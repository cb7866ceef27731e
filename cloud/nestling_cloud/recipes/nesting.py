"""Defines the options for nesting the capacities (sizes) of a student."""

import math
from dataclasses import dataclass, field
from typing import Literal

from nestling_cloud.errors import CloudError

Way = Literal["joint", "grow"]
Rule = Literal["turns", "sum", "sandwich"]


class NestingError(CloudError):
    """Raised when a nesting option has an invalid value."""


@dataclass(frozen=True, kw_only=True)
class Joint:
    """The options for training all capacities at the same time.

    Attributes:
        rule: the rule that chooses the capacities to train in an optimizer step:

            - "turns": one capacity per step. They take turns, the largest first. The recipe's
              numbers of epochs and of epochs of patience are multiplied by the number of
              capacities, so that each capacity sees the data as often as the recipe says.
            - "sum": all capacities.
            - "sandwich": the largest, the smallest and a random one in between (US-Nets).
        teacher_share: the weight, 0 to 1, with which a smaller capacity learns from teacher and
            labels. It learns from the largest capacity's answers with the weight
            `1 - teacher_share`.
    """

    rule: Rule = "turns"
    teacher_share: float = 1.0

    def __post_init__(self) -> None:
        """Raise NestingError if a value is outside its range."""
        if self.rule not in {"turns", "sum", "sandwich"}:
            raise NestingError(f"rule {self.rule!r}: choose 'turns', 'sum' or 'sandwich'")
        if not 0 <= self.teacher_share <= 1:
            raise NestingError(f"teacher_share {self.teacher_share}: choose 0 to 1")


@dataclass(frozen=True, kw_only=True)
class Grow:
    """The options for pruning a student to its smallest capacity and growing it back.

    Attributes:
        triplets: the number of input triplets by which a layer's filters are ranked. A triplet has
            two inputs of one class and one input of another class.
        prunings: the number of pruning steps from one capacity to the next smaller one.
        pruning_share: the epochs of fine-tuning after each pruning step, as a share of the recipe's
            epochs.
        growing_share: the epochs for which each capacity's additional weights are trained, as a
            share of the recipe's epochs.
    """

    triplets: int = 4096
    prunings: int = 2
    pruning_share: float = 0.1
    growing_share: float = 1.0

    def __post_init__(self) -> None:
        """Raise NestingError if a value is outside its range."""
        if self.triplets < 1 or self.prunings < 1:
            raise NestingError(f"{self}: choose at least 1 triplet and 1 pruning")
        if not (0 < self.pruning_share < math.inf and 0 < self.growing_share < math.inf):
            raise NestingError(f"{self}: choose finite shares of the recipe's epochs above 0")


@dataclass(frozen=True, kw_only=True)
class Nesting:
    """The options for nesting a student's capacities.

    Attributes:
        way: the method, which is "joint" (slimmable networks) or "grow" (NestDNN).
        joint: the options of the method "joint".
        grow: the options of the method "grow".
    """

    way: Way = "joint"
    joint: Joint = field(default_factory=Joint)
    grow: Grow = field(default_factory=Grow)

    def __post_init__(self) -> None:
        """Raise NestingError if the name of the method is unknown."""
        if self.way not in {"joint", "grow"}:
            raise NestingError(f"way {self.way!r}: choose 'joint' or 'grow'")
