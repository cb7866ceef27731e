"""The figures of the benchmark of tasks."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.tasks.figures import figures, recovered, worst_margin
from benchmarks.tasks.learned import Learned
from benchmarks.tasks.lines import ONNX_TASK, lines_of
from benchmarks.tasks.plan import FOLDERS, PICTURES, PlanError, check_folders, run_command
from benchmarks.tasks.results import Results, TaskResult
from benchmarks.tasks.routed import Quality, Routed
from nestling_cloud.learning.routing import RoutingData
from nestling_core.kinds.labels import SINGLE_LABEL


def result(weights_bytes: list[int], device: list[float], cloud: float) -> TaskResult:
    none = RoutingData(
        inputs=np.zeros((0, 1), np.float32),
        logits=np.zeros((len(device), 0, 2), np.float32),
        cloud=np.zeros((0, 2), np.float32),
        labels=np.zeros(0, np.int64),
    )
    return TaskResult(
        learned=Learned(
            kind=SINGLE_LABEL,
            calibration=none,
            test=none,
            weights_bytes=weights_bytes,
            teacher_s=60.0,
            student_s=1.0,
        ),
        routed=Routed(
            device=[Quality(success=value) for value in device],
            routed=[Quality(success=value) for value in device],
            cloud=Quality(success=cloud),
        ),
        margins={
            "smallest": {"plain": {0.1: 1.0, 0.2: -0.5}},
            "largest": {"plain": {0.1: 0.2, 0.2: 0.3}},
        },
    )


def test_recovered_gap_is_that_of_the_means() -> None:
    assert recovered([70, 80], [78, 86], [80, 90]) == pytest.approx(70)
    assert math.isnan(recovered([80], [81], [80]))


def test_capacities_count_up_to_their_size() -> None:
    seeds = [result([7000, 50_000, 90_000], [88.0, 94.0, 96.0], 95.0)]

    found = figures(Results(tasks={"spoken-digits": seeds}))

    assert found["spoken digits: largest capacity up to 53 kB - teacher"].value == -1.0
    assert found["spoken digits: largest capacity up to 8 kB - teacher"].value == -7.0
    assert found["spoken-digits: hybrid - margin at the same share, worst case"].holds is False


def test_worst_margin_is_the_worst_mean_over_seeds() -> None:
    assert worst_margin([result([1], [1.0], 1.0)] * 2) == -0.5


def test_lines_of_a_users_file_leave_out_empty_ones_and_comments() -> None:
    assert lines_of("import a\n\n# why\nx = 1  # here\n") == 2
    assert lines_of(ONNX_TASK) <= 15


def test_missing_folder_is_said_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(FOLDERS[PICTURES], str(tmp_path / "none"))

    with pytest.raises(PlanError, match=r"NESTLING_CIFAR10_JPEG is .*none' and no folder"):
        check_folders([PICTURES])
    check_folders(["lines"])


def test_failing_command_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"task new --pictures .*nowhere"):
        run_command("task", "new", "--pictures", str(tmp_path / "nowhere"), folder=tmp_path)
