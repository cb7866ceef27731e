"""Defines `fashion` with few training pictures and small models, for benchmarks of everything else.

Its teacher takes a minute to train, where the built-in one takes twenty.
"""

from dataclasses import replace
from pathlib import Path

from nestling_cloud.tasks import Distillation, Splits, Task, conv_student, load_task
from nestling_cloud.tasks.fashion import cut

_PICTURES = 6000


def small_fashion() -> Task:
    """Return `fashion` with few training pictures, a small student and short recipes."""
    task = load_task("fashion")
    assert task.teacher_recipe is not None
    return replace(
        task,
        load=_load_few,
        student=conv_student(channels=(16, 32, 64), strides=(2, 2, 1)),
        teacher_recipe=replace(task.teacher_recipe, epochs=6, threads=1),
        student_recipe=replace(
            task.student_recipe,
            epochs=8,
            batch=64,
            learning_rate=3e-3,
            optimizer="adamw",
            half=False,
            threads=1,
        ),
        distillation=Distillation(views=2),
    )


def _load_few(data_dir: Path | None, seed: int) -> Splits:
    splits = load_task("fashion").load(data_dir, seed)
    return replace(splits, train=cut(splits.train, 0, _PICTURES))
