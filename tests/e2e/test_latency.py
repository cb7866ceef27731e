"""Latency models end to end: make probes, measure them on a device, fit, predict."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.processes import DEADLINE_S


def program(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program until it ends."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S * 3,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def test_measured_probes_fit_a_model_that_predicts_other_latencies(tmp_path: Path) -> None:
    probes, table = tmp_path / "probes", tmp_path / "table.json"
    made = program(
        "nestling_cloud.cli",
        *("latency", "probes", "--task", "wearable", "--out", str(probes), "--count", "20"),
    )
    assert (made.returncode, made.stdout) == (0, f"{probes}\n")

    measured = program(
        "nestling_device.cli",
        *("profile", "--models", str(probes), "--seconds", "0.02", "--out", str(table)),
    )
    assert measured.returncode == 0
    assert "20 models on" in measured.stdout
    assert "probe-000/capacity-1.onnx" in measured.stdout

    fitted = program(
        "nestling_cloud.cli",
        *("latency", "fit", "--probes", str(probes), "--table", str(table), "--json"),
    )
    assert fitted.returncode == 0
    found = json.loads(fitted.stdout)
    assert found["probes"] == 20
    assert set(found["error"]) == {"trees", "linear_in_macs"}
    assert all(0 < error["median"] <= error["p90"] for error in found["error"].values())

    predicted = program(
        "nestling_cloud.cli",
        *("latency", "predict", "--task", "wearable", "--json"),
        *("--probes", str(probes), "--table", str(table)),
    )
    assert predicted.returncode == 0
    prediction = json.loads(predicted.stdout)
    assert prediction["widths"] == [[8, 16, 16], [16, 32, 32], [24, 48, 48], [32, 64, 64]]
    assert all(time > 0 for time in prediction["microseconds"])


def test_device_measures_models_without_a_bundle(tmp_path: Path) -> None:
    program("nestling_cloud.cli", *TWO_PROBES, str(tmp_path / "probes"))

    done = program(
        "nestling_device.cli",
        *("profile", "--models", str(tmp_path / "probes"), "--seconds", "0.02", "--json"),
    )

    assert done.returncode == 0
    models = json.loads(done.stdout)["models"]
    assert list(models) == ["probe-000/capacity-1.onnx", "probe-001/capacity-1.onnx"]


TWO_PROBES = ("latency", "probes", "--task", "wearable", "--count", "2", "--out")


def test_folder_without_models_is_an_error(tmp_path: Path) -> None:
    done = program("nestling_device.cli", "profile", "--models", str(tmp_path))

    assert (done.returncode, done.stdout) == (1, "")
    assert "has no .onnx file" in done.stderr
