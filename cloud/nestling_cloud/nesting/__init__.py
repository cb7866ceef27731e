"""Nested students: trained jointly or grown, at capacities that are given or searched for."""

from nestling_cloud.nesting.config import Grow, Joint, Nesting, NestingError
from nestling_cloud.nesting.joint import (
    TEACHER_WEIGHT,
    VIEWS,
    Views,
    make_views,
    sandwich_loss,
    train_nested,
)
from nestling_cloud.nesting.nest import nest

__all__ = [
    "TEACHER_WEIGHT",
    "VIEWS",
    "Grow",
    "Joint",
    "Nesting",
    "NestingError",
    "Views",
    "make_views",
    "nest",
    "sandwich_loss",
    "train_nested",
]
