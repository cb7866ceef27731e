"""An exported bundle works with the standard ONNX tools alone."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf import json_format

from nestling.v1.bundle_pb2 import GoldenInputs, Manifest
from nestling_cloud import cli
from nestling_cloud.bundles.repository import Repository
from tests.support.foreign_client import open_exported
from tests.support.trained import TrainedTask

_CAPACITIES = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def exported(trained: TrainedTask, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "models"
    arguments = ["--repository", str(trained.repository), "--out", str(folder)]
    assert cli.main(["bundle", "export", *arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def golden(trained: TrainedTask) -> GoldenInputs:
    repository = Repository(trained.repository)
    return GoldenInputs.FromString(repository.read(repository.manifest().golden.sha256))


@pytest.mark.parametrize("capacity", _CAPACITIES)
def test_exported_capacity_is_valid_and_gives_the_golden_logits(
    exported: Path, golden: GoldenInputs, trained: TrainedTask, capacity: int
) -> None:
    path = exported / f"capacity-{capacity}.onnx"
    shape = trained.task.signature.shape
    inputs = np.frombuffer(golden.inputs, "<f4").reshape(golden.count, *shape)

    onnx.checker.check_model(path, full_check=True)
    found = open_exported(path).run(["logits"], {"input": inputs})[0]

    expected = np.frombuffer(golden.logits[capacity - 1], "<f4").reshape(golden.count, -1)
    assert np.abs(expected - found).max() <= golden.tolerance


def test_exported_teacher_loads(exported: Path) -> None:
    path = exported / "wearable-teacher.onnx"

    onnx.checker.check_model(path)
    assert open_exported(path).get_outputs()


def test_exported_folder_has_every_file_and_the_bundles_manifest(
    exported: Path, trained: TrainedTask
) -> None:
    pairs = {f"capacity-{k}.{kind}" for k in _CAPACITIES for kind in ("onnx", "weights")}
    rest = {"wearable-teacher.onnx", "manifest.json"}

    assert {path.name for path in exported.iterdir()} == pairs | rest
    read = json_format.Parse((exported / "manifest.json").read_text(), Manifest())
    assert read == Repository(trained.repository).manifest()


def test_weights_are_as_large_as_the_rings_of_the_capacity(
    exported: Path, trained: TrainedTask
) -> None:
    rings = [entry.ring.size for entry in Repository(trained.repository).manifest().capacities]

    sizes = [(exported / f"capacity-{k}.weights").stat().st_size for k in _CAPACITIES]

    assert sizes == np.cumsum(rings).tolist()


def test_repeated_export_needs_force_and_changes_nothing(
    exported: Path, trained: TrainedTask, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    arguments = ["--repository", str(trained.repository), "--out", str(exported)]

    assert cli.main(["bundle", "export", *arguments]) == 1
    assert cli.main(["bundle", "export", *arguments, "--force"]) == 0

    assert before == {path.name: path.read_bytes() for path in exported.iterdir()}
