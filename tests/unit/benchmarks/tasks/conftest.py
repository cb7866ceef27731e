"""A small folder like that of the water loop."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.tasks.water_loop import FLOW, GROUPS, NORMAL, SENSORS, VARIABLE

ROWS = 200


def write_recording(path: Path, seed: int, *, anomaly: bool) -> None:
    """Write a recording, the second half of which is anomalous: the flow falls."""
    rng = np.random.default_rng(seed)
    wrong = (np.arange(ROWS) >= ROWS // 2) & anomaly
    flow = np.where(wrong, 25.0, 32.0) + rng.normal(scale=0.3, size=ROWS)
    sensors = rng.normal(1.0, 0.1, size=(ROWS, len(SENSORS)))
    lines = [";".join(["datetime", *SENSORS, FLOW, *(["anomaly"] if anomaly else [])])]
    for row in range(ROWS):
        values = [*sensors[row], flow[row], *([float(wrong[row])] if anomaly else [])]
        lines.append(";".join(["2020-03-09 10:14:33", *(f"{value:.5f}" for value in values)]))
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture
def water_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "loop"
    folder.mkdir()
    for number, group in enumerate(GROUPS):
        for index in range(4):
            write_recording(folder / group / f"{index}.csv", 10 * number + index, anomaly=True)
    write_recording(folder / NORMAL / "anomaly-free.csv", 99, anomaly=False)
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder
