"""Refuses tasks of kinds that some features do not support."""

from nestling_cloud.tasks.task import Task, TaskError
from nestling_core.kinds.kind import name_of
from nestling_core.kinds.labels import SingleLabel


def require_single_label(task: Task, purpose: str) -> None:
    """Raise TaskError if a task is not a single-label task.

    Args:
        task: the task.
        purpose: what needs a single-label task, as the beginning of a sentence.

    Raises:
        TaskError: the task has another kind.
    """
    name = name_of(task.signature)
    if name != SingleLabel.name:
        raise TaskError(
            f"task {task.name}: {purpose} works only with tasks of the kind {SingleLabel.name!r}, "
            f"but this one is of the kind {name!r}"
        )
