"""Trains a nested student by pruning it to its smallest capacity (size) and growing it back.

This is the method of NestDNN (Fang et al., MobiCom 2018). First, the largest capacity is trained,
and its worst filters are pruned step by step, with fine-tuning after each step. Then the smallest
capacity is trained and frozen. Finally, each larger capacity in turn gets its filters back, and
only the weights that they add (the ring) are trained.
"""

from nestling_cloud.learning.input_tensors import tensors_of
from nestling_cloud.learning.nesting.pruning import prune
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.recipes.nesting import Grow
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import recalibrate


def train_grown(training_set: TrainingSet, grow: Grow) -> NestedStudent:
    """Return a nested student trained by pruning, freezing and growing.

    Args:
        training_set: the training data with the teacher's answers.
        grow: the options of pruning and growing, such as the number and length of the steps.

    Returns:
        The student in evaluation mode, with normalization statistics for every capacity.

    Raises:
        OrderError: the student has shuffle blocks, so its channels cannot be reordered.
        RankingError: there is only one class, or no class has two inputs.
        TrainingError: the data is too small, or a loss or a weight is no longer finite.
    """
    student = prune(training_set, grow)
    for capacity in range(1, student.config.capacities + 1):
        grow_ring(student, training_set, capacity, grow)
    recalibrate(student, tensors_of(training_set.train_inputs))
    return student


def grow_ring(student: NestedStudent, training_set: TrainingSet, capacity: int, grow: Grow) -> None:
    """Train only a capacity's ring, that is, the weights that it adds to the next smaller one.

    All smaller capacities stay the same bit for bit.

    Args:
        student: the nested student, which is changed in place.
        training_set: the training data with the teacher's answers.
        capacity: the number of the capacity, 1 to K.
        grow: the options of growing, which set the number of epochs.

    Raises:
        TrainingError: the data is too small, or the loss or a weight is no longer finite.
    """
    training_set.teach(
        student,
        above=capacity - 1,
        up_to=capacity,
        share=grow.growing_share,
        what=f"growing capacity {capacity} of {student.config.capacities}",
    )
