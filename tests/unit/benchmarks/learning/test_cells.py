"""Tests of the learning benchmark's cells: made once, loaded again, made again after a change."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.learning.cells import Cell, Cells, code_digest

CELL = Cell(
    name="student",
    parameters={"seed": 0},
    modules=["nestling_core.nest.layout"],
    parents=["a teacher's key"],
)


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    return Cells(lambda _text: None, tmp_path)


def counted() -> tuple[Callable[[], dict[str, Any]], list[int]]:
    calls: list[int] = []

    def make() -> dict[str, Any]:
        calls.append(1)
        return {"accuracy": 90.0 + len(calls)}

    return make, calls


def test_finished_cell_is_loaded_with_the_time_that_it_took(cells: Cells, tmp_path: Path) -> None:
    make, calls = counted()

    first = cells.load_or_make(CELL, make)
    again = Cells(lambda _text: None, tmp_path).load_or_make(CELL, make)  # another run

    assert len(calls) == 1
    assert again == first
    assert first["accuracy"] == 91.0
    assert first["seconds"] >= 0


def test_time_of_each_cell_counts_once_whoever_made_it(cells: Cells, tmp_path: Path) -> None:
    make, _ = counted()
    first = cells.load_or_make(CELL, make)
    second = cells.load_or_make(dataclasses.replace(CELL, parents=[]), make)
    later = Cells(lambda _text: None, tmp_path)
    for _ in range(2):
        later.load_or_make(CELL, make)

    assert cells.seconds == first["seconds"] + second["seconds"]
    assert later.seconds == first["seconds"] > 0


def test_cell_made_beside_others_counts_with_its_processor_share(tmp_path: Path) -> None:
    started = time.monotonic()
    half = Cells(lambda _text: None, tmp_path, share=0.5)

    half.load_or_make(CELL, lambda: {"until": busy(0.02)})

    assert 0.01 <= half.seconds <= (time.monotonic() - started) / 2


def busy(seconds: float) -> float:
    """Keep the processor busy."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return until


@pytest.mark.parametrize(
    "change",
    [
        {"name": "teacher"},
        {"parameters": {"seed": 1}},
        {"modules": ["nestling_core.execution.timing"]},
        {"modules": ["nestling_core.student"]},
        {"parents": ["another teacher's key"]},
    ],
)
def test_cell_with_another_description_is_made_again(cells: Cells, change: dict[str, Any]) -> None:
    make, calls = counted()
    cells.load_or_make(CELL, make)

    cells.load_or_make(dataclasses.replace(CELL, **change), make)

    assert len(calls) == 2


def test_cell_that_failed_is_not_kept(cells: Cells, tmp_path: Path) -> None:
    def fail() -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cells.load_or_make(CELL, fail)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 10, -1])
def test_damaged_cell_is_made_again_and_logged(tmp_path: Path, cut: int) -> None:
    log: list[str] = []
    make, calls = counted()
    cells = Cells(log.append, tmp_path)
    cells.load_or_make(CELL, make)
    (path,) = tmp_path.glob("*.pt")
    path.write_bytes(path.read_bytes()[:cut])

    again = cells.load_or_make(CELL, make)
    loaded = cells.load_or_make(CELL, make)

    assert len(calls) == 2
    assert again == loaded
    assert [line for line in log if "is damaged" in line and "made again" in line]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ('"""Another docstring."""\n\n\ndef f(x):\n    # why\n    return x + 1\n', True),
        ('"""Docstring."""\n\n\ndef f(x):\n    return x + 2\n', False),
        ('"""Docstring."""\n\n\ndef f(x):\n    "text"\n    return x + 1\n', False),
    ],
)
def test_comments_and_docstrings_do_not_change_the_digest(
    tmp_path: Path, other: str, same: bool
) -> None:
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text('"""Docstring."""\n\n\ndef f(x):\n    return x + 1\n', "utf-8")
    second.write_text(other, "utf-8")

    assert (code_digest(first) == code_digest(second)) == same
