"""Nested students: trained jointly or grown, at capacities that are given or searched for."""

from nestling_cloud.nesting.config import Grow, Joint, Nesting, NestingError
from nestling_cloud.nesting.joint import (
    TEACHER_WEIGHT,
    VIEWS,
    Views,
    joint_loss,
    make_views,
    train_nested,
)
from nestling_cloud.nesting.nest import nest, objective_of

__all__ = [
    "TEACHER_WEIGHT",
    "VIEWS",
    "Grow",
    "Joint",
    "Nesting",
    "NestingError",
    "Views",
    "joint_loss",
    "make_views",
    "nest",
    "objective_of",
    "train_nested",
]
