"""Finding a task's capacities: from its data to widths for its student."""

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
        task: the student's blocks and recipe; its capacities are not looked at.
        examples: to learn from and to judge by.
        cost: of given widths.
        search: targets and steps.
        seed: initial weights, shuffling, augmentation.
        progress: told every epoch, and every step of the search.

    Raises:
        NestingError: a family that cannot be searched, or targets that are out of reach.
        TrainingError: the data is too small, or a loss left the finite numbers.
    """
    Supernet(task.signature, task.student)  # what cannot be is known before the teacher is trained
    search.smallest(task.student, cost)
    generator = seeded(seed)
    teacher = train_teacher(task, examples, generator, progress)
    teaches = train_assistants(
        task, teacher, examples, task.distillation, generator=generator, progress=progress
    )
    by_answers = dataclasses.replace(task.distillation, feature="none")
    training_set = TrainingSet(
        task=task,
        views=make_views(task, teaches, examples, generator, by_answers),
        train_inputs=examples.inputs,
        generator=generator,
        progress=progress,
    )
    return search_widths(training_set, cost, search)
