import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from nestling.v1 import bundle_pb2
from nestling.v1.bundle_pb2 import GoldenInputs
from nestling_cloud import cli
from nestling_cloud.bundles.overview import overview
from nestling_cloud.bundles.repository import Repository
from nestling_core.execution.session import open_session
from nestling_core.nest.bundle_files import Activations


def test_show_json_matches_the_manifest(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bundle", "show", "--repository", str(released), "--json"]) == 0

    output = json.loads(capsys.readouterr().out)
    assert output == overview(Repository(released))
    assert (output["task"], output["release"]) == ("tiny", 1)
    assert output["bundle_version"].startswith("tiny-1-")
    assert output["activations"] == ["uint8", "int8"]
    assert [one["capacity"] for one in output["capacities"]] == [1, 2]
    assert [one["ring_bytes"] for one in output["capacities"]] == [102_400, 204_800]
    assert [one["weight_bytes"] for one in output["capacities"]] == [102_400, 307_200]
    assert [one["memory_bytes"] for one in output["capacities"]] == [10_000, 20_000]
    teacher = Repository(released).manifest().cloud.onnx
    assert (output["cloud"]["bytes"], output["cloud"]["version"]) == (
        teacher.size,
        teacher.sha256[:8],
    )
    first, second = (one["estimates"] for one in output["guarantee_estimates"])
    assert output["routing"]["routes"][0]["filter"] is None
    assert first == []
    assert second[-1] == {"risk": 0.1, "inputs": 38, "offload_share": 0.25}


def test_unreadable_calibration_exits_with_1(
    released: Path,
    make_manifest: Callable[..., bundle_pb2.Manifest],
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository = Repository(released)
    manifest = make_manifest(repository, release=2)
    manifest.calibration.CopyFrom(repository.add(b"no calibration"))
    repository.release(manifest)

    assert cli.main(["bundle", "show", "--repository", str(released)]) == 1

    assert "the calibration cannot be read; release the bundle again" in capsys.readouterr().err


def test_show_prints_a_table(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bundle", "show", "--repository", str(released)]) == 0

    output = capsys.readouterr().out
    for words in (
        "tiny-1-",
        "307,200",
        "uint8 and int8",
        "cloud model tiny-teacher",
        "10% after 38 (sends 25%)",
    ):
        assert words in output


@pytest.mark.parametrize("command", ["show", "export"])
def test_repository_without_a_bundle_exits_with_1_and_creates_nothing(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--out", str(out)] if command == "export" else []

    status = cli.main(["bundle", command, "--repository", str(tmp_path / "none"), *arguments])

    assert status == 1
    assert "no bundle has been released" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_export_to_a_folder_with_files_is_refused_and_changes_none(
    released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    before = sorted(tmp_path.rglob("*"))

    status = cli.main(["bundle", "export", "--repository", str(released), "--out", str(tmp_path)])

    assert status == 1
    assert "add --force" in capsys.readouterr().err
    assert before == sorted(tmp_path.rglob("*"))


def test_export_of_a_damaged_blob_exits_with_1_and_writes_nothing(
    released: Path,
    make_manifest: Callable[..., bundle_pb2.Manifest],
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository = Repository(released)
    blob = repository.manifest().capacities[0].template
    path = released / "blobs" / blob.sha256
    path.write_bytes(b"x" * blob.size)
    out = released.parent / "out"

    status = cli.main(["bundle", "export", "--repository", str(released), "--out", str(out)])

    assert status == 1
    assert "the bundle is damaged" in capsys.readouterr().err
    assert not out.exists()


def zero_points(path: Path) -> set[int]:
    """Return the ONNX types of a graph's zero points, which show the type of its activations."""
    graph = onnx.load(str(path), load_external_data=False).graph
    eight_bits = {onnx.TensorProto.UINT8, onnx.TensorProto.INT8}
    zeros = {value.data_type for value in graph.initializer if value.name.endswith(".zero")}
    return zeros & eight_bits


@pytest.mark.parametrize(
    ("flags", "activations"),
    [([], "uint8"), (["--activations", "uint8"], "uint8"), (["--activations", "int8"], "int8")],
)
def test_exported_capacities_have_the_requested_activations_and_the_same_answers(
    tiny_bundle: Path, tmp_path: Path, flags: list[str], activations: Activations
) -> None:
    repository, out = Repository(tiny_bundle), tmp_path / "out"
    golden = GoldenInputs.FromString(repository.read(repository.manifest().golden.sha256))
    shape = repository.manifest().signature.shape
    inputs = np.frombuffer(golden.inputs, "<f4").reshape(golden.count, *shape)

    arguments = ["--repository", str(tiny_bundle), "--out", str(out)]
    assert cli.main(["bundle", "export", *arguments, *flags]) == 0

    kind = {"uint8": onnx.TensorProto.UINT8, "int8": onnx.TensorProto.INT8}[activations]
    for number, logits in enumerate(golden.logits, start=1):
        path = out / f"capacity-{number}.onnx"
        assert {kind} == zero_points(path)
        found = open_session(path).run(None, {"input": inputs})[0]
        assert logits == found.astype("<f4").tobytes()


def test_export_of_activations_that_the_bundle_lacks_writes_nothing(
    released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Repository(released)
    older = repository.manifest()
    older.release = 2
    for entry in older.capacities:
        entry.ClearField("template_int8")
    repository.release(older)
    out = tmp_path / "out"
    arguments = ["--repository", str(released), "--out", str(out), "--activations", "int8"]

    assert cli.main(["bundle", "export", *arguments]) == 1

    assert "release 2 of tiny has no graphs with int8 activations" in capsys.readouterr().err
    assert not out.exists()
    assert overview(repository)["activations"] == ["uint8"]


def test_exported_files_with_wrong_answers_exit_with_1(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Repository(shutil.copytree(tiny_bundle, tmp_path / "repository"))
    manifest = repository.manifest()
    golden = GoldenInputs.FromString(repository.read_whole(manifest.golden))
    golden.logits[1] = (np.frombuffer(golden.logits[1], "<f4") + 9).astype("<f4").tobytes()
    manifest.golden.CopyFrom(repository.add(golden.SerializeToString()))
    manifest.release = 2
    repository.release(manifest)
    arguments = ["--repository", str(repository.root), "--out", str(tmp_path / "out")]

    assert cli.main(["bundle", "export", *arguments]) == 1

    output = capsys.readouterr().err
    assert "do not give the bundle's answers, so do not use them: capacity 2 answers" in output


@pytest.mark.parametrize("command", ["show", "export"])
def test_damaged_teacher_exits_with_1_and_what_to_do(
    command: str, released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = released / "models" / Repository(released).manifest().cloud.onnx.sha256
    path.write_bytes(path.read_bytes()[:100])
    arguments = ["--out", str(tmp_path / "out")] if command == "export" else []

    assert cli.main(["bundle", command, "--repository", str(released), *arguments]) == 1

    output = capsys.readouterr().err
    assert "100 bytes instead of" in output
    assert "release it again" in output
