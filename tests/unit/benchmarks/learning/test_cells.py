"""Cells of the learning benchmark: made once, found again, remade when something changed."""

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
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"accuracy": 90.0 + len(made)}

    return make, made


def test_finished_cell_is_found_again_with_the_time_that_it_took(
    cells: Cells, tmp_path: Path
) -> None:
    make, made = counted()

    first = cells.take(CELL, make)
    again = Cells(lambda _text: None, tmp_path).take(CELL, make)  # another run

    assert len(made) == 1
    assert again == first
    assert first["accuracy"] == 91.0
    assert first["seconds"] >= 0


def test_time_that_cells_took_counts_once_each_whoever_made_them(
    cells: Cells, tmp_path: Path
) -> None:
    make, _ = counted()
    one = cells.take(CELL, make)
    another = cells.take(dataclasses.replace(CELL, parents=[]), make)
    later = Cells(lambda _text: None, tmp_path)
    for _ in range(2):
        later.take(CELL, make)

    assert cells.seconds == one["seconds"] + another["seconds"]
    assert later.seconds == one["seconds"] > 0


def test_cell_made_beside_others_counts_with_its_makers_share(tmp_path: Path) -> None:
    started = time.monotonic()
    half = Cells(lambda _text: None, tmp_path, share=0.5)

    half.take(CELL, lambda: {"until": busy(0.02)})

    assert 0.01 <= half.seconds <= (time.monotonic() - started) / 2


def busy(seconds: float) -> float:
    """Work for as long."""
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
def test_cell_that_follows_from_something_else_is_made_anew(
    cells: Cells, change: dict[str, Any]
) -> None:
    make, made = counted()
    cells.take(CELL, make)

    cells.take(dataclasses.replace(CELL, **change), make)

    assert len(made) == 2


def test_cell_that_failed_is_not_kept(cells: Cells, tmp_path: Path) -> None:
    def fail() -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cells.take(CELL, fail)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 10, -1])
def test_damaged_cell_is_made_again_and_said(tmp_path: Path, cut: int) -> None:
    said: list[str] = []
    make, made = counted()
    cells = Cells(said.append, tmp_path)
    cells.take(CELL, make)
    (path,) = tmp_path.glob("*.pt")
    path.write_bytes(path.read_bytes()[:cut])

    again = cells.take(CELL, make)
    found = cells.take(CELL, make)

    assert len(made) == 2
    assert again == found
    assert [line for line in said if "is damaged" in line and "made again" in line]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ('"""Another docstring."""\n\n\ndef f(x):\n    # why\n    return x + 1\n', True),
        ('"""Says."""\n\n\ndef f(x):\n    return x + 2\n', False),
        ('"""Says."""\n\n\ndef f(x):\n    "told"\n    return x + 1\n', False),
    ],
)
def test_comments_and_docstrings_are_no_code(tmp_path: Path, other: str, same: bool) -> None:
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text('"""Says."""\n\n\ndef f(x):\n    return x + 1\n', "utf-8")
    second.write_text(other, "utf-8")

    assert (code_digest(first) == code_digest(second)) == same
