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
    """Reads 1 W until it is told that networks run, then 4 W."""

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
    (tmp_path / "notes.txt").write_text("no model")
    return tmp_path


def test_every_model_of_a_folder_and_those_within_is_measured(folder: Path) -> None:
    found = profile_models(folder, conditions(), silent)

    assert list(found.models) == ["b.onnx", "inner/a.onnx"]
    assert (found.machine, found.meter, found.idle_w) == ("here", "m", None)
    for cost in found.models.values():
        assert 0 < cost.latency_ms <= cost.latency_p95_ms
        assert cost.resident_bytes > 10_000_000
        assert cost.energy_provenance == "modelled"
        assert cost.energy_mj == pytest.approx(cost.latency_ms * 2, abs=1e-3)


def test_table_names_the_files_that_were_measured_by_their_digests(folder: Path) -> None:
    told = json.loads(profile_models(folder, conditions(), silent).to_json())

    assert told["format"] == 1
    digest = hashlib.sha256(sum_model(4)).hexdigest()
    assert told["models"]["b.onnx"]["sha256"] == digest


def test_energy_is_what_the_instrument_reads_above_idle(folder: Path) -> None:
    instrument = RampInstrument()

    def say(what: str) -> None:
        if "rounds" in what:
            instrument.power_w = 4.0

    with Sampler(instrument) as sampler:
        found = profile_models(folder, conditions(sampler, seconds=0.3), say)

    assert found.idle_w == pytest.approx(1.0)
    assert found.active_w == pytest.approx(3.0, rel=0.1)
    for cost in found.models.values():
        assert cost.energy_provenance == "calibrated"
        assert cost.energy_mj >= 3.0 * cost.latency_ms * 0.5


def test_slow_instrument_gets_fewer_and_longer_turns(folder: Path) -> None:
    instrument = RampInstrument()
    instrument.period_s = 0.02
    said: list[str] = []

    with Sampler(instrument) as sampler:
        profile_models(folder, conditions(sampler, seconds=0.3), said.append)

    assert said[-1] == "2 models, 2 rounds"  # six readings of 0.02 s each


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelsError, match=r"none is no folder"):
        profile_models(tmp_path / "none", conditions(), silent)


def test_folder_without_a_model_tells_what_writes_some(tmp_path: Path) -> None:
    with pytest.raises(ModelsError, match=r"has no \.onnx file; nestling-cloud latency probes"):
        profile_models(tmp_path, conditions(), silent)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is no model"),
        (b"no model at all", "is no model"),
        (integer_model(), "32-bit floats"),
        (failing_model(), "does not run on random inputs"),
    ],
    ids=["empty", "text", "integers", "failing"],
)
def test_file_that_cannot_be_measured_is_named(folder: Path, data: bytes, words: str) -> None:
    (folder / "odd.onnx").write_bytes(data)

    with pytest.raises(ModelsError, match=rf"odd\.onnx.* {words}"):
        profile_models(folder, conditions(), silent)


def test_table_that_cannot_be_written_ends_in_words(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(folder / "none" / "table.json")

    with pytest.raises(SystemExit):
        cli.main(["profile", "--models", str(folder), "--seconds", "0.01", "--out", out])

    assert f"the folder {folder / 'none'} does not exist" in capsys.readouterr().err


def test_models_are_never_kept_for_the_policy(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["profile", "--models", str(folder), "--write"])

    assert "not allowed with argument --models" in capsys.readouterr().err
