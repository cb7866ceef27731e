import json
from pathlib import Path
from typing import Any

import pytest

from nestling_cloud import cli
from nestling_cloud.latency.model import FEWEST_PROBES
from nestling_cloud.learning.nesting.width_cost import counted_cost
from nestling_core.student.config import StudentConfig
from tests.support.fleet_tasks import ROOT
from tests.support.tiny_probes import TINY_FAMILY, hand_table, tiny_probes
from tests.support.tiny_task import TINY_TASK

TASKS = ROOT / "tests" / "support" / "tiny_task.py"
TRAINED = """
import dataclasses
from nestling_cloud.tasks import Recipe, conv_student, recurrent_student
from tests.support.tiny_task import TINY_TASK, TinyTeacher

def untrained(signature):
    raise AssertionError("a teacher was made")

TRAINED = dataclasses.replace(TINY_TASK, teacher_recipe=None)
UNTAUGHT = dataclasses.replace(TINY_TASK, teacher=untrained)
RECURRENT = dataclasses.replace(
    UNTAUGHT, student=recurrent_student(channels=(4,), strides=(2,), hidden=4)
)
"""


def capacities(*more: str, task: str = f"{TASKS}:TINY_TASK") -> int:
    return cli.main(["capacities", "--task", task, "--epochs", "1", *more])


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    file = tmp_path / "tasks.py"
    file.write_text(TRAINED)
    return file


def printed_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_search_finds_widths_within_the_targets(capsys: pytest.CaptureFixture[str]) -> None:
    assert capacities("--json", "--targets", "0.4,1") == 0

    report = printed_json(capsys)
    rows = tuple(tuple(row) for row in report["widths"])
    student = StudentConfig(blocks=TINY_TASK.student.blocks, widths=rows)
    cost = counted_cost(TINY_TASK.signature, student)
    assert (report["task"], report["by"], report["targets"]) == ("tiny", "bytes", [0.4, 1.0])
    assert cost(rows[0]).bytes <= 0.4 * cost(rows[1]).bytes
    chosen = {p["capacity"]: p["widths"] for p in report["path"] if p["capacity"]}
    assert chosen == {1: list(rows[0]), 2: list(rows[1])}
    for point in report["path"]:
        assert set(point) == {"widths", "bytes", "share", "accuracy", "capacity"}
        assert point["bytes"] == cost(tuple(point["widths"])).bytes


def test_same_seed_finds_the_same_path_and_prints_widths_to_paste(
    tasks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = f"{tasks}:TRAINED"
    assert capacities("--targets", "0.4,1", "--json", task=task) == 0
    rows = tuple(tuple(row) for row in printed_json(capsys)["widths"])

    assert capacities("--targets", "0.4,1", task=task) == 0

    assert capsys.readouterr().out.endswith(f"widths={rows}\n")


def test_search_by_latency_uses_the_fitted_model(
    tmp_path: Path, tasks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, folder = tmp_path / "table.json", tmp_path / "probes"
    probes = tiny_probes(folder, count=FEWEST_PROBES)
    models = hand_table(table, probes)
    for probe in probes.probes:  # a machine on which only the second layer takes time
        models[probe.model]["latency_ms"] = 0.1 + 0.1 * probe.widths[1]
    table.write_text(json.dumps({"format": 1, "machine": "a Pi", "models": models}))
    measured = ("--by", "latency", "--probes", str(folder), "--table", str(table))

    assert capacities(*measured, "--targets", "0.7,1", "--json", task=f"{tasks}:TRAINED") == 0

    report = printed_json(capsys)
    small, whole = (
        next(p for p in report["path"] if p["capacity"] == capacity) for capacity in (1, 2)
    )
    assert TINY_FAMILY.config.whole == (6, 8)
    assert whole["latency_us"] == pytest.approx(900, rel=0.1)
    assert small["latency_us"] <= 0.7 * whole["latency_us"]
    assert small["share"] == pytest.approx(small["latency_us"] / whole["latency_us"])


@pytest.mark.parametrize("more", [(), ("--probes", "probes"), ("--table", "table.json")])
def test_search_by_latency_without_measurements_names_the_commands(
    more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert capacities("--by", "latency", *more) == 1

    words = capsys.readouterr().err
    assert "nestling-cloud latency probes" in words
    assert "nestling-device profile --models" in words


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--targets", "0.6,0.3,1"), "must rise from above 0 and end at 1"),
        (("--targets", "0.3,0.6"), "must rise from above 0 and end at 1"),
        (("--targets", "0.01,1"), "0.01 is out of reach"),
    ],
)
def test_targets_that_cannot_be_met_are_refused_before_the_teacher_is_trained(
    tasks: Path, more: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert capacities(*more, task=f"{tasks}:UNTAUGHT") == 1

    assert words in capsys.readouterr().err


def test_recurrent_student_is_refused_before_the_teacher_is_trained(
    tasks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert capacities(task=f"{tasks}:RECURRENT") == 1

    assert "in students of convolutions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--targets", "a,1"), "write them as"),
        (("--epochs", "0"), "a whole number of at least 1"),
    ],
)
def test_wrong_usage_is_reported(
    more: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        capacities(*more)

    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
