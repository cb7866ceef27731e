"""Damaged and incomplete ONNX files are refused in words."""

from pathlib import Path

import onnx
import pytest

from nestling_cloud.learning.onnx.onnx_file import OnnxTeacherError, read_model
from tests.support.onnx_teachers import linear


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "teacher.onnx"
    onnx.save(linear(), path)
    return path


def test_missing_file_error_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(OnnxTeacherError, match=rf"No such file .*{tmp_path}/absent\.onnx"):
        read_model(tmp_path / "absent.onnx")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", r"has no graph, .* \(0 bytes\)"),
        (b"no model at all", "is not an ONNX file, or is damaged"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
    ],
)
def test_file_of_another_kind_is_refused(file: Path, content: bytes, words: str) -> None:
    file.write_bytes(content)

    with pytest.raises(OnnxTeacherError, match=words):
        read_model(file)


def test_file_that_is_cut_short_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for length in range(0, len(whole), len(whole) // 7 + 1):
        file.write_bytes(whole[:length])

        with pytest.raises(OnnxTeacherError, match="export it again"):
            read_model(file)


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    """A file whose weights are in another file."""
    path = tmp_path / "parted.onnx"
    onnx.save(linear(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def test_weights_in_another_file_are_read(parted: Path) -> None:
    (found,), (weights,) = (read_model(parted).graph.initializer, linear().graph.initializer)

    assert found.raw_data == weights.raw_data


def test_missing_weights_are_named(parted: Path) -> None:
    parted.with_name("weights.bin").unlink()

    with pytest.raises(
        OnnxTeacherError, match=rf"has its weights in weights\.bin, .* not in {parted.parent}"
    ):
        read_model(parted)


def test_weights_that_are_cut_short_are_refused(parted: Path) -> None:
    weights = parted.with_name("weights.bin")
    weights.write_bytes(weights.read_bytes()[:10])

    with pytest.raises(OnnxTeacherError, match=r"has weights in weights\.bin that cannot be read"):
        read_model(parted)
