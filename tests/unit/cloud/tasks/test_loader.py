from pathlib import Path

import pytest

from nestling_cloud.tasks import BUILT_IN, TaskError, load_task

SOURCE = """
from nestling_cloud.tasks import Signature, Task, conv_student

TASK = Task(
    name="mine",
    signature=Signature(shape=[1, 8], classes=["a", "b"]),
    load=lambda data_dir, seed: None,
    student=conv_student(channels=(4,), strides=(1,)),
)
OTHER = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_built_in_task_is_found_by_its_name() -> None:
    assert load_task("wearable") is BUILT_IN["wearable"]
    assert all(name == task.name for name, task in BUILT_IN.items())


def test_users_task_is_found_in_its_file(file: Path) -> None:
    assert load_task(f"{file}:TASK").name == "mine"


def test_path_may_have_colons(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    (folder / "mine.py").write_text(SOURCE)

    assert load_task(f"{folder}/mine.py:TASK").name == "mine"


def test_unknown_name_error_lists_the_known_ones() -> None:
    with pytest.raises(TaskError, match=r"no task 'wearabel': use one of wearable, fashion"):
        load_task("wearabel")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"absent\.py does not exist"):
        load_task(f"{tmp_path}/absent.py:TASK")


def test_file_that_is_not_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "task.txt").write_text(SOURCE)

    with pytest.raises(TaskError, match=r"task\.txt is not a Python file"):
        load_task(f"{tmp_path}/task.txt:TASK")


@pytest.mark.parametrize("name", ["OTHER", "ABSENT", ""])
def test_object_that_is_not_a_task_error_lists_the_files_tasks(file: Path, name: str) -> None:
    with pytest.raises(TaskError, match=f"has no task '{name}'; it has TASK"):
        load_task(f"{file}:{name}")


def test_file_without_tasks_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("")

    with pytest.raises(TaskError, match="it has no tasks"):
        load_task(f"{tmp_path}/empty.py:TASK")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import absent_module", "ModuleNotFoundError: No module named 'absent_module'"),
        ("def broken(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_failing_file_error_says_why(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "broken.py").write_text(source)

    with pytest.raises(TaskError, match=rf"broken\.py failed: {words}"):
        load_task(f"{tmp_path}/broken.py:TASK")
