"""Trains nested students, either jointly or by growing, and searches for their widths.

A nested student has one set of weights for all its capacities (sizes of the model). The search
finds how many channels each layer should have at each capacity. From `learning`, this package may
import `distillation`, the training `loop` and `macs`. It may also import `tasks` and `recipes`.
"""

from nestling_cloud.learning.nesting.freeze_and_grow import train_grown
from nestling_cloud.learning.nesting.joint_training import joint_loss, objective_of, train_nested

__all__ = [
    "joint_loss",
    "objective_of",
    "slimming",
    "supernet",
    "train_grown",
    "train_nested",
    "training_set",
    "width_cost",
    "width_search",
]
