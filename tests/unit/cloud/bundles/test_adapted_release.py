"""Adapt to unlabeled inputs of another domain and release a bundle for it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling_cloud import cli
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.learning.adaptation import AdaptationConfig, AdaptationError
from nestling_cloud.learning.adaptation.pipeline import learn_adapted
from nestling_cloud.learning.adaptation.target_inputs import read_target
from nestling_cloud.learning.pipeline import LearnedTask
from nestling_cloud.progress import SilentProgress
from nestling_core.execution.session import open_session
from nestling_core.nest.layout import assemble
from tests.support.pitch_teacher import MIRRORED, SAME, TASK, mirrored
from tests.support.tiny_task import tiny_splits, tones

THERE = mirrored(tones(256, 7))


@pytest.fixture(scope="module")
def learned() -> LearnedTask:
    config = AdaptationConfig(frames=(SAME, MIRRORED))
    found, choice = learn_adapted(
        TASK,
        tiny_splits(),
        mirrored(tones(256, 5)).inputs,
        config,
        seed=0,
        progress=SilentProgress(),
    )
    assert choice.frame == MIRRORED
    return found


def right(model: bytes, store: dict[str, NDArray[np.int8]] | None = None) -> float:
    (logits,) = open_session(model, store).run(["logits"], {"input": THERE.inputs})
    return float((logits.argmax(1) == THERE.labels).mean())


def test_largest_capacity_and_cloud_answer_inputs_of_the_other_domain(
    learned: LearnedTask,
) -> None:
    store = assemble(learned.layout, [capacity.ring for capacity in learned.capacities])

    assert right(learned.capacities[-1].template, store) > 0.8
    assert right(learned.cloud.onnx) > 0.9


def test_bundle_states_accuracies_of_the_other_domain(
    learned: LearnedTask,
) -> None:
    assert learned.cloud.accuracy > 0.9
    assert learned.capacities[-1].accuracy > 0.8
    assert learned.calibration.inputs == round(0.4 * 256)  # the rest fitted the multiplexer


def adapt(folder: Path, inputs: Path, *more: str) -> int:
    reference = f"{Path(__file__).parents[3] / 'support' / 'pitch_teacher.py'}:TASK"
    where = ("--repository", str(folder / "repository"), "--inputs", str(inputs))
    return cli.main(["bundle", "adapt", "--task", reference, *where, *more])


def test_command_releases_a_bundle_for_the_other_domain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "there.npy", tones(64, 5).inputs)

    assert adapt(tmp_path, tmp_path / "there.npy") == 0

    desired = Repository(tmp_path / "repository").desired()
    assert desired is not None
    assert capsys.readouterr().out == f"{desired.bundle_version}\n"


def header(shape: str, kind: str = "<f4") -> bytes:
    """Build an .npy header, which need not match the file's content."""
    header_text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header_text).to_bytes(2, "little") + header_text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"not an array", "is not an .npy file of numbers"),
        (b"", "is not an .npy file of numbers"),
        (b"PK\x03\x04 an archive", "is not an .npy file of numbers"),
        (b"\x93NUMPY\x01\x00\x04\x00{{{{", "is not an .npy file of numbers"),
        (header("(1000000000000, 2, 16)"), "is not an .npy file of numbers"),
        (header("(4, 2, 16)") + bytes(100), "is not an .npy file of numbers"),
        (header("(4, 2, 16)", "|O") + bytes(2048), "is not an .npy file of numbers"),
        (np.float32(1.0), "is not an array of inputs"),
        (np.zeros((4, 3, 16), np.float32), r"float32 \(4, 2, 16\)"),
        (np.zeros((4, 2, 16)), r"are float64 \(4, 2, 16\)"),
        (np.full((4, 2, 16), np.nan, np.float32), "are not finite"),
    ],
)
def test_file_without_inputs_of_the_task_is_refused(
    tmp_path: Path, content: bytes | NDArray[np.generic] | None, words: str
) -> None:
    path = tmp_path / "there.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)

    with pytest.raises(AdaptationError, match=words):
        read_target(TASK, path)


def test_invalid_inputs_end_the_command_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "there.npy", np.zeros((4, 3, 16), np.float32))

    assert adapt(tmp_path, tmp_path / "there.npy") == 1

    output = capsys.readouterr()
    assert "the signature asks for float32 (4, 2, 16)" in output.err
    assert "student" not in output.err
