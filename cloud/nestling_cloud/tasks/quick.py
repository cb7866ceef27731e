"""Shortens a task's training, to try everything from data to report in a minute or two."""

import dataclasses

from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks.task import Task

_TEACHER_EPOCHS, _STUDENT_EPOCHS = 2, 1
_VIEWS = 2


def quick_task(task: Task) -> Task:
    """Return a task that is trained on a sample of its data, for a few epochs.

    The task is marked as `quick`, and so is everything that is made from it. Teacher assistants are
    left out. Sizes, losses and methods stay as they are.

    Args:
        task: the task to shorten. A task that is quick already is returned unchanged.
    """
    if task.quick:
        return task
    teacher, quantization = task.teacher_recipe, task.quantization
    return dataclasses.replace(
        task,
        quick=True,
        teacher_recipe=None if teacher is None else _shortened(teacher, _TEACHER_EPOCHS),
        student_recipe=_shortened(task.student_recipe, _STUDENT_EPOCHS),
        distillation=dataclasses.replace(
            task.distillation, views=min(task.distillation.views, _VIEWS), assistants=()
        ),
        quantization=dataclasses.replace(
            quantization, aware_epochs=min(quantization.aware_epochs, 1)
        ),
    )


def _shortened(recipe: Recipe, epochs: int) -> Recipe:
    return dataclasses.replace(recipe, epochs=min(recipe.epochs, epochs), patience=0)
