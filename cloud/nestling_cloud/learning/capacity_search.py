"""Search the widths of a task's capacities, starting from its data."""

import dataclasses

from nestling_cloud.learning.distillation import make_views, train_assistants
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.nesting.supernet import Supernet
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.learning.nesting.width_cost import CostOf
from nestling_cloud.learning.nesting.width_search import SearchResult, WidthSearch, search_widths
from nestling_cloud.learning.train_teacher import train_teacher
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Examples, Task


def find_capacities(
    task: Task,
    examples: Examples,
    cost: CostOf,
    search: WidthSearch,
    *,
    seed: int,
    progress: Progress,
) -> SearchResult:
    """Train the teacher and a supernet of the task's student, and search the supernet for widths.

    Args:
        task: the student's blocks and recipe; its capacities are ignored.
        examples: data to train on and to score widths with.
        cost: returns the cost of given widths.
        search: targets and step sizes.
        seed: for initial weights, shuffling and augmentation.
        progress: shows each epoch and each step of the search.

    Returns:
        The student's blocks with the widths found, and the path of the search.

    Raises:
        NestingError: the student cannot be searched, or a target is out of reach.
        TrainingError: the data is too small, or a loss is no longer finite.
    """
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
