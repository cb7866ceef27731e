"""Loads a task by its name, or from a TOML or Python file."""

from pathlib import Path

from nestling_cloud.tasks import fashion, spoken_digits, wearable
from nestling_cloud.tasks.task import Task, TaskError
from nestling_cloud.tasks.task_file import load_task_file
from nestling_cloud.tasks.task_modules import import_task_file
from nestling_cloud.tasks.user_code_errors import users_code

BUILT_IN = {task.name: task for task in (wearable.TASK, fashion.TASK, spoken_digits.TASK)}


def load_task(reference: str) -> Task:
    """Return a built-in task, or a task from a TOML or Python file.

    Args:
        reference: the name of a built-in task, `path/to/task.toml`, or `path/to/file.py:NAME` for
            the `Task` object `NAME` in your own file.

    Raises:
        TaskError: there is no such task, file or object, importing the file fails, or a TOML file
            has an unknown key or a wrong value. If the name is wrong, the error text lists the
            names that exist.
        CloudError: a value in a TOML file is out of its range.
    """
    if reference in BUILT_IN:
        return BUILT_IN[reference]
    if reference.endswith(".toml"):
        return load_task_file(Path(reference))
    file, colon, name = reference.rpartition(":")
    if not colon:
        raise TaskError(
            f"no task {reference!r}: use one of {', '.join(BUILT_IN)}, path/to/task.toml, or "
            "path/to/file.py:NAME"
        )
    return _from_file(Path(file), name)


def _from_file(path: Path, name: str) -> Task:
    if not path.is_file():
        raise TaskError(f"task file {path} does not exist")
    if path.suffix != ".py":
        raise TaskError(f"task file {path} is not a Python file")
    with users_code(f"task file {path}", TaskError, passing=TaskError):
        try:
            module = import_task_file(path)
        except SystemExit as err:
            raise TaskError(
                f"task file {path} exits when it is imported; move the call below "
                'if __name__ == "__main__"'
            ) from err
    task = getattr(module, name, None)
    if not isinstance(task, Task):
        names = [key for key, value in vars(module).items() if isinstance(value, Task)]
        raise TaskError(f"{path} has no task {name!r}; it has {', '.join(names) or 'no tasks'}")
    return task
