"""The example task of docs/examples whose teacher is an ONNX file."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nestling_cloud.learning.check_teacher import check_teaching, prepare_to_serve
from nestling_cloud.learning.make_teacher import make_teacher
from nestling_cloud.tasks import Task, load_task

EXAMPLES = Path(__file__).parents[3] / "docs/examples"
MOST_LINES = 15


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """Return the task, in a copy of the folder with the ONNX file in it."""
    folder = tmp_path_factory.mktemp("examples")
    for path in EXAMPLES.glob("*.py"):
        shutil.copy(path, folder)
    subprocess.run([sys.executable, folder / "export_digits.py"], check=True, capture_output=True)
    return load_task(f"{folder}/digits_onnx.py:TASK")


def test_teacher_of_the_file_answers_as_well_as_the_network_in_it(task: Task) -> None:
    splits = task.load_checked(None, 1)

    check_teaching(task, splits.train.inputs)
    cloud, logits = prepare_to_serve(task, make_teacher(task), splits.calibration)

    assert cloud.accuracy > 0.9
    rows = torch.from_numpy(splits.calibration.inputs[:9])
    torch.testing.assert_close(torch.from_numpy(logits[:9]), make_teacher(task)(rows))
    assert (logits.max(1) > 1).any()  # the file gives probabilities


def test_task_with_an_onnx_teacher_takes_few_lines() -> None:
    code = ast.parse((EXAMPLES / "digits_onnx.py").read_text("utf-8"))
    statements = [node for node in code.body if not isinstance(node, ast.Expr)]

    lines = sum((node.end_lineno or 0) - node.lineno + 1 for node in statements)
    assert lines <= MOST_LINES
