import hashlib
import json
from pathlib import Path

import pytest

from nestling.v1.receipt_pb2 import PROVENANCE_CALIBRATED
from nestling_device import cli
from nestling_device.energy.power_tables import Board
from nestling_device.energy.sampler import Sampler
from nestling_device.profiling.bundle import Conditions
from nestling_device.profiling.onnx_folder import ModelsError, profile_models
from tests.support.hand_models import failing_model, integer_model, sum_model

BOARD = Board(name="b", idle_w=1.0, busy_w=3.0, gmacs_per_s=2.0, run_overhead_ms=0.5)


class RampInstrument:
    """Reads the power in `power_w`, at first 1 W."""

    period_s = 0.001
    provenance = PROVENANCE_CALIBRATED

    def __init__(self) -> None:
        self.power_w = 1.0

    def watts(self) -> float:
        return self.power_w

    def close(self) -> None:
        pass


def conditions(sampler: Sampler | None = None, seconds: float = 0.02) -> Conditions:
    return Conditions(board=BOARD, sampler=sampler, seconds=seconds, meter="m", machine="here")


def silent(_: str) -> None:
    pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner").mkdir()
    (tmp_path / "b.onnx").write_bytes(sum_model(4))
    (tmp_path / "inner" / "a.onnx").write_bytes(sum_model(2000))
    (tmp_path / "notes.txt").write_text("not a model")
    return tmp_path


def test_every_model_of_a_folder_and_its_subfolders_is_measured(folder: Path) -> None:
    found = profile_models(folder, conditions(), silent)

    assert list(found.models) == ["b.onnx", "inner/a.onnx"]
    assert (found.machine, found.meter, found.idle_w) == ("here", "m", None)
    for cost in found.models.values():
        assert 0 < cost.latency_ms <= cost.latency_p95_ms
        assert cost.resident_bytes > 10_000_000
        assert cost.energy_provenance == "modelled"
        assert cost.energy_mj == pytest.approx(cost.latency_ms * 2, abs=1e-3)


def test_table_contains_the_digests_of_the_models(folder: Path) -> None:
    table = json.loads(profile_models(folder, conditions(), silent).to_json())

    assert table["format"] == 1
    digest = hashlib.sha256(sum_model(4)).hexdigest()
    assert table["models"]["b.onnx"]["sha256"] == digest


def test_energy_is_measured_above_idle(folder: Path) -> None:
    instrument = RampInstrument()

    def report(what: str) -> None:
        if "rounds" in what:
            instrument.power_w = 4.0

    with Sampler(instrument) as sampler:
        found = profile_models(folder, conditions(sampler, seconds=0.3), report)

    assert found.idle_w == pytest.approx(1.0)
    assert found.active_w == pytest.approx(3.0, rel=0.1)
    for cost in found.models.values():
        assert cost.energy_provenance == "calibrated"
        assert cost.energy_mj >= 3.0 * cost.latency_ms * 0.5


def test_slow_instrument_gets_fewer_and_longer_turns(folder: Path) -> None:
    instrument = RampInstrument()
    instrument.period_s = 0.02
    reported: list[str] = []

    with Sampler(instrument) as sampler:
        profile_models(folder, conditions(sampler, seconds=0.3), reported.append)

    assert reported[-1] == "2 models, 2 rounds"  # six readings of 0.02 s each


def test_missing_folder_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ModelsError, match=r"none is not a folder"):
        profile_models(tmp_path / "none", conditions(), silent)


def test_folder_without_models_raises_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ModelsError, match=r"has no \.onnx file; nestling-cloud latency probes"):
        profile_models(tmp_path, conditions(), silent)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not a model"),
        (b"not a model", "is not a model"),
        (integer_model(), "32-bit floats"),
        (failing_model(), "cannot run on random inputs"),
    ],
    ids=["empty", "text", "integers", "failing"],
)
def test_file_that_cannot_be_measured_is_named_in_the_error(
    folder: Path, data: bytes, words: str
) -> None:
    (folder / "odd.onnx").write_bytes(data)

    with pytest.raises(ModelsError, match=rf"odd\.onnx.* {words}"):
        profile_models(folder, conditions(), silent)


def test_output_folder_that_does_not_exist_is_named_in_the_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(folder / "none" / "table.json")

    with pytest.raises(SystemExit):
        cli.main(["profile", "--models", str(folder), "--seconds", "0.01", "--out", out])

    assert f"the folder {folder / 'none'} does not exist" in capsys.readouterr().err


def test_models_cannot_be_combined_with_write(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["profile", "--models", str(folder), "--write"])

    assert "not allowed with argument --models" in capsys.readouterr().err
