"""Modules beside a task file are imported, and do not mix with those of other tasks."""

import sys
from pathlib import Path
from typing import Any

import pytest

from nestling_cloud.tasks import TaskError, load_task
from nestling_cloud.tasks.task_modules import import_task_file, modules_beside


@pytest.fixture(autouse=True)
def with_compiled_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python write compiled files, which it does for users."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "task.py"


def imported(folder: Path, **files: str) -> Any:
    return import_task_file(write(folder, **files))


@pytest.mark.parametrize(
    "statement",
    [
        "from layers import WIDTH",
        "import layers; WIDTH = layers.WIDTH",
        "import layers as other; WIDTH = other.WIDTH",
        "from .layers import WIDTH",
        "from . import layers; WIDTH = layers.WIDTH",
        "from parts.first import WIDTH",
        "import parts.first; WIDTH = parts.first.WIDTH",
        "import parts.first as first; WIDTH = first.WIDTH",
        "from parts import first; WIDTH = first.WIDTH",
        "from layers import *",
    ],
)
def test_module_beside_a_task_file_is_imported(tmp_path: Path, statement: str) -> None:
    task = imported(
        tmp_path,
        task=statement,
        layers="WIDTH = 7",
        parts____init__="",
        parts__first="from layers import WIDTH",
    )

    assert task.WIDTH == 7


def test_module_may_be_imported_late(tmp_path: Path) -> None:
    task = imported(
        tmp_path,
        task="def width():\n    from layers import WIDTH\n    return WIDTH",
        layers="WIDTH = 7",
    )

    assert task.width() == 7


def test_module_may_import_the_task_file_and_gets_the_same_one(tmp_path: Path) -> None:
    task = imported(
        tmp_path, task="WIDTH = 7\nimport layers", layers="import task\ndef get():\n    return task"
    )

    assert task.layers.get() is task


def test_modules_of_the_same_name_do_not_mix(tmp_path: Path) -> None:
    late = "import layers\ndef width():\n    import layers as now\n    return now.WIDTH"
    first = imported(tmp_path / "a", task=late, layers="WIDTH = 1")
    second = imported(tmp_path / "b", task=late, layers="WIDTH = 2")

    assert (first.layers.WIDTH, second.layers.WIDTH) == (1, 2)
    assert (first.width(), second.width()) == (1, 2)


def test_process_does_not_notice_the_modules(tmp_path: Path) -> None:
    path, names = list(sys.path), set(sys.modules)

    imported(tmp_path, task="import layers_of_nobody_else", layers_of_nobody_else="")

    assert sys.path == path
    assert all(name.startswith("nestling_task_") for name in set(sys.modules) - names)
    with pytest.raises(ModuleNotFoundError):
        __import__("layers_of_nobody_else")
    assert not list(tmp_path.rglob("__pycache__"))


def test_module_beside_the_file_hides_an_installed_one_from_the_task_alone(tmp_path: Path) -> None:
    task = imported(
        tmp_path, task="import json, torch", json="WIDTH = 7", torch__readme="not a package"
    )

    assert task.json.WIDTH == 7
    assert task.torch is sys.modules["torch"]  # a folder without __init__.py hides nothing
    assert not hasattr(sys.modules["json"], "WIDTH")


def test_file_that_changed_is_imported_as_it_is_now(tmp_path: Path) -> None:
    files = {"task": "from layers import WIDTH", "layers": "WIDTH = 1"}
    before = imported(tmp_path, **files)
    after = imported(tmp_path, **{**files, "layers": "WIDTH = 2"})  # the same size and second

    assert (before.WIDTH, after.WIDTH) == (1, 2)


def test_modules_of_a_task_file_are_listed(tmp_path: Path) -> None:
    task = imported(tmp_path, task="import layers", layers="import deeper", deeper="")

    files = {Path(str(module.__file__)).name for module in modules_beside(task)}
    assert files == {"task.py", "layers.py", "deeper.py"}
    assert modules_beside(sys) == []


def test_error_in_a_module_beside_the_file_has_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, task="import layers", layers="\n\n1 / 0")

    with pytest.raises(
        TaskError, match=r"task\.py failed: ZeroDivisionError: .* \(layers\.py, line 3\)$"
    ):
        load_task(f"{path}:TASK")


def test_syntax_error_in_a_module_beside_the_file_has_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, task="import layers", layers="def broken(:")

    with pytest.raises(TaskError, match=r"SyntaxError: invalid syntax \(layers\.py, line 1\)$"):
        load_task(f"{path}:TASK")


def test_task_file_that_exits_says_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path, task="import layers", layers="import sys\nsys.exit('done')")

    with pytest.raises(TaskError, match=r'move the call below if __name__ == "__main__"'):
        load_task(f"{path}:TASK")
