"""Freeze and grow: find capacities by pruning, then train one ring at a time.

NestDNN (Fang et al., MobiCom 2018): the largest capacity is trained, its filters are ranked, and
the worst ones are pruned step by step, with fine-tuning after each step. The smallest capacity that
is left is trained and frozen; then each larger one gets its filters back and trains only these.
"""

import torch

from nestling_cloud.learning.nesting.pruning import prune
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.recipes.nesting import Grow
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import recalibrate


def train_grown(training_set: TrainingSet, grow: Grow) -> NestedStudent:
    """Distill a nested student by pruning, freezing and growing.

    Args:
        training_set: data with the teacher's answers.
        grow: number and length of the steps.

    Returns:
        The student in evaluation mode, every capacity's normalization calibrated.

    Raises:
        OrderError: the student has shuffles, so its channels cannot be ranked.
        RankingError: the labels form no triplets.
        TrainingError: the data is too small, or a loss is no longer finite.
    """
    student = prune(training_set, grow)
    for capacity in range(1, student.config.capacities + 1):
        grow_ring(student, training_set, capacity, grow)
    recalibrate(student, torch.from_numpy(training_set.train_inputs))
    return student


def grow_ring(student: NestedStudent, training_set: TrainingSet, capacity: int, grow: Grow) -> None:
    """Train the ring that a capacity adds; smaller capacities stay the same bit for bit.

    Args:
        student: changed in place.
        training_set: data with the teacher's answers.
        capacity: 1 to K.
        grow: length of the training.
    """
    training_set.teach(
        student,
        above=capacity - 1,
        up_to=capacity,
        share=grow.growing_share,
        what=f"growing capacity {capacity} of {student.config.capacities}",
    )
