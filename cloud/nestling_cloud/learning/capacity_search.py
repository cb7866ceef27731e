"""Searches for the widths (channels of each layer) that a task's capacities should have."""

import dataclasses

from nestling_cloud.learning.distillation import make_views, train_assistants
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.nesting.supernet import Supernet
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.learning.nesting.width_cost import CostOf
from nestling_cloud.learning.nesting.width_search import SearchResult, WidthSearch, search_widths
from nestling_cloud.learning.train_teacher import train_teacher
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.examples import Examples
from nestling_cloud.tasks.single_label import require_single_label
from nestling_cloud.tasks.task import Task


def find_capacities(
    task: Task,
    examples: Examples,
    cost: CostOf,
    search: WidthSearch,
    *,
    seed: int,
    progress: Progress,
) -> SearchResult:
    """Search for the best capacities (sizes of the student) on a task's data.

    The function trains the teacher and then a supernet, which is a student that runs at any widths.
    The search narrows the supernet step by step.

    Args:
        task: the task, which sets the student's blocks and recipe. Its own capacities are ignored.
        examples: the training data. The teacher and the assistants train on all of it. The supernet
            trains on one part, and the widths are scored on the rest.
        cost: the function that returns the cost of given widths.
        search: the settings of the search.
        seed: the random seed for initial weights, shuffling and augmentation.
        progress: the progress display, advanced once per epoch and once per step of the search.

    Returns:
        The student's blocks with the widths that were found, and all widths on the search's path.

    Raises:
        TaskError: the task is not a single-label task.
        NestingError: the student has recurrent or shuffle blocks, there is no example to score
            widths on, or the search cannot meet its targets.
        TeacherError: the teacher cannot be made, fails on the task's inputs, or does not output
            float32 logits (N, classes).
        TrainingError: the data is too small, or a loss or a weight is no longer finite.
        ViewsError: the disk has no room for the augmented copies of the training data.
    """
    require_single_label(task, "the search for capacities")
    # Both fail on an impossible search, before the teacher is trained.
    Supernet(task.signature, task.student)
    search.smallest(task.student, cost)
    generator = seeded(seed)
    teacher = train_teacher(task, examples, generator, progress)
    teaches = train_assistants(
        task, teacher, examples, task.distillation, generator=generator, progress=progress
    )
    logits_only = dataclasses.replace(task.distillation, feature="none")
    training_set = TrainingSet(
        task=task,
        views=make_views(task, teaches, examples, generator, logits_only),
        train_inputs=examples.inputs,
        generator=generator,
        progress=progress,
    )
    return search_widths(training_set, cost, search)
