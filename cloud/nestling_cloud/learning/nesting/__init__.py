"""Train nested students, jointly or by growing, at given or searched capacities."""

from nestling_cloud.learning.nesting.joint_training import joint_loss, objective_of, train_nested
from nestling_cloud.learning.nesting.nest import nest
from nestling_cloud.recipes.nesting import Grow, Joint, Nesting, NestingError

__all__ = [
    "Grow",
    "Joint",
    "Nesting",
    "NestingError",
    "joint_loss",
    "nest",
    "objective_of",
    "slimming",
    "supernet",
    "train_nested",
    "training_set",
    "width_cost",
    "width_search",
]
