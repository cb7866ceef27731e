"""The cells of the benchmark of tasks: what is trained once, and what is stored of it."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.learning.cells import Cells
from benchmarks.tasks import water_loop
from benchmarks.tasks.figures import figures
from benchmarks.tasks.results import Results, measure_task
from benchmarks.tasks.tables import tables
from nestling_cloud.tasks import Task, quick_task


@pytest.mark.usefixtures("water_loop")
@pytest.mark.parametrize("task", [water_loop.ANOMALY, water_loop.FLOW_RATE], ids=lambda t: t.name)
def test_task_is_trained_once_and_reported_from_the_cache(task: Task, tmp_path: Path) -> None:
    log: list[str] = []
    quick = quick_task(task)

    first = measure_task(Cells(log.append, tmp_path / "cells"), quick, 0)
    trained = len(log)
    again = measure_task(Cells(log.append, tmp_path / "cells"), quick, 0)

    assert trained == 4  # a line before and after each of two cells
    assert len(log) == trained
    np.testing.assert_array_equal(first.learned.test.logits, again.learned.test.logits)
    assert len(first.learned.weights_bytes) == first.learned.test.capacities == 4
    assert first.routed == again.routed
    name = "anomaly" if task is water_loop.ANOMALY else "regression"
    results = Results(tasks={name: [first]})
    assert any("cloud alone" in key for key in figures(results))
    assert len(tables(results)[0].rows) == 5
