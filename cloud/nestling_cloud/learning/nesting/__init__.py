"""Nested students: trained jointly or grown, at capacities that are given or searched for."""

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
    "train_nested",
]
