"""Freeze and grow: capacities that are found by pruning and trained one ring at a time.

NestDNN (Fang et al., MobiCom 2018): the largest capacity is trained, its filters are ranked, and
the last ones are pruned step by step, with tuning after each. The smallest capacity that is left is
trained and frozen; then each larger one gets its filters back and trains these alone.
"""

import torch

from nestling_cloud.learning.nesting.pruning import pruned
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.recipes.nesting import Grow
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import recalibrate


def train_grown(training_set: TrainingSet, grow: Grow) -> NestedStudent:
    """Distil a nested student by pruning, freezing and growing.

    Args:
        training_set: what to learn from.
        grow: steps and their lengths.

    Returns:
        The student in evaluation mode, every capacity's normalisation calibrated.

    Raises:
        OrderError: a student with shuffles, whose channels cannot be ranked.
        RankingError: labels that make no triplets.
    """
    student = pruned(training_set, grow)
    for capacity in range(1, student.config.capacities + 1):
        grow_ring(student, training_set, capacity, grow)
    recalibrate(student, torch.from_numpy(training_set.train_inputs))
    return student


def grow_ring(student: NestedStudent, training_set: TrainingSet, capacity: int, grow: Grow) -> None:
    """Train what a capacity adds; the capacities below stay as they are, bit for bit.

    Args:
        student: changed in place.
        training_set: what to learn from.
        capacity: 1 to K.
        grow: how long.
    """
    training_set.teach(
        student,
        above=capacity - 1,
        up_to=capacity,
        share=grow.growing_share,
        what=f"growing capacity {capacity} of {student.config.capacities}",
    )
