"""The tasks on the water loop: how recordings are dealt, cut and labeled."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.tasks import water_loop as loop
from nestling_cloud.tasks import TaskError
from nestling_cloud.tasks.files import DataMissingError

ROWS = 200
WINDOWS = (ROWS - loop.WINDOW_S) // loop.HOP_S + 1


@pytest.mark.usefixtures("water_loop")
def test_recordings_of_every_group_are_dealt_whole_and_once() -> None:
    splits = loop.ANOMALY.load_checked(None, 0)

    assert list(splits.train.lengths) == [WINDOWS] * (1 + 3 * 2)
    assert list(splits.calibration.lengths) == [WINDOWS] * 3
    assert [len(part) for part in splits.test] == [WINDOWS] * 3
    parts = [splits.train.inputs, splits.calibration.inputs, *(p.inputs for p in splits.test)]
    windows = [window.tobytes() for part in parts for window in part]
    assert len(set(windows)) == len(windows) == 13 * WINDOWS


@pytest.mark.usefixtures("water_loop")
def test_seeds_deal_recordings_differently() -> None:
    dealt = [loop.ANOMALY.load_checked(None, seed).calibration.inputs for seed in (0, 1)]

    assert not np.array_equal(dealt[0], dealt[1])


@pytest.mark.usefixtures("water_loop")
def test_training_windows_are_normal_only_if_all_rows_are() -> None:
    splits = loop.ANOMALY.load_checked(None, 0)

    starts = np.arange(WINDOWS) * loop.HOP_S
    wrong = np.clip(starts + loop.WINDOW_S - ROWS // 2, 0, loop.WINDOW_S)
    assert splits.test[0].labels.tolist() == (wrong >= loop.WINDOW_S / 2).astype(int).tolist()
    trained = splits.train.labels.reshape(-1, WINDOWS)
    assert trained[0].tolist() == [0] * WINDOWS  # the recording without anomalies
    assert trained[1].tolist() == (wrong > 0).astype(int).tolist()


@pytest.mark.usefixtures("water_loop")
def test_flow_is_estimated_at_the_end_of_a_window_and_is_no_input() -> None:
    splits = loop.FLOW_RATE.load_checked(None, 0)

    flow = splits.test[0].labels[:, 0]
    assert flow[0] == pytest.approx(32, abs=2)
    assert flow[-1] == pytest.approx(25, abs=2)
    assert np.max(splits.test[0].inputs) < 10


def test_missing_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(loop.VARIABLE, str(tmp_path))

    with pytest.raises(DataMissingError, match="its folder valve1 has 0 recordings"):
        loop.deal(0)


def test_file_that_is_no_recording_is_named(water_loop: Path) -> None:
    (water_loop / "valve2" / "1.csv").write_text("a;b\n1;2\n", "utf-8")

    with pytest.raises(TaskError, match=r"valve2/1.csv is not a recording of the water loop"):
        loop.deal(0)
