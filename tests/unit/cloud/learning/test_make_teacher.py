"""A teacher may be a network, a file or a program, or a function that makes one of them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from nestling_cloud.errors import CloudError
from nestling_cloud.learning.adaptation.sensor_frame import FramedTeacher
from nestling_cloud.learning.check_teacher import check_teaching, prepare_to_serve
from nestling_cloud.learning.distillation import TeacherFeatureError
from nestling_cloud.learning.loop import logits_of, seeded
from nestling_cloud.learning.make_teacher import TeacherError, make_teacher
from nestling_cloud.learning.onnx.onnx_file import OnnxTeacherError
from nestling_cloud.learning.onnx.onnx_network import OnnxNetwork
from nestling_cloud.learning.pipeline import learn
from nestling_cloud.learning.train_teacher import train_teacher
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Distillation, OnnxTeacher, Recipe, Signature, Task, quick_task
from nestling_core.kinds.of_signature import kind_of
from tests.support.kind_tasks import ANOMALY, MULTI_LABEL, REGRESSION
from tests.support.onnx_teachers import SHAPE, Recurrent, Wrapped, linear, network, traced
from tests.support.pitch_teacher import MIRRORED, Matcher
from tests.support.progress import EpochCounter
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits

ROWS = tiny_splits().train.inputs[:20]


def task_with(teacher: Any, **changes: Any) -> Task:
    fields = {"teacher_recipe": Task.teacher_recipe, **changes}
    return dataclasses.replace(TINY_TASK, teacher=teacher, **fields)


def program(made: nn.Module, batch: int = 1) -> torch.export.ExportedProgram:
    return torch.export.export(made.eval(), (torch.zeros(batch, *SHAPE),))


def onnx_file(folder: Path) -> Path:
    path = folder / "teacher.onnx"
    onnx.save(traced(network()), path)
    return path


def program_file(folder: Path) -> Path:
    path = folder / "teacher.pt2"
    torch.export.save(program(network()), path)
    return path


class Maker:
    """An object that is called to make a network."""

    def __call__(self, _signature: Signature) -> nn.Module:
        return network()


class Seeded(TinyTeacher):
    """A network whose weights are those of `network`."""

    def __init__(self, signature: Signature) -> None:
        torch.manual_seed(0)
        super().__init__(signature)


class NoArguments(Seeded):
    """A network that is made without the signature."""

    def __init__(self) -> None:
        super().__init__(TINY_TASK.signature)


WAYS: dict[str, Callable[[Path], Any]] = {
    "network": lambda _: network(),
    "class of a network": lambda _: Seeded,
    "class without arguments": lambda _: NoArguments,
    "function without arguments": lambda _: network,
    "object that makes a network": lambda _: Maker(),
    "ONNX teacher": lambda folder: OnnxTeacher(onnx_file(folder)),
    "path of an ONNX file": onnx_file,
    "path as a string": lambda folder: str(onnx_file(folder)),
    "function that returns an ONNX teacher": lambda folder: (
        lambda _signature: OnnxTeacher(onnx_file(folder))
    ),
    "program": lambda _: program(network()),
    "function that returns a program": lambda _: lambda _signature: program(network()),
    "path of a program": program_file,
}


@pytest.mark.parametrize("way", WAYS)
def test_teacher_may_be_given_in_any_of_these_ways(way: str, tmp_path: Path) -> None:
    task = task_with(WAYS[way](tmp_path))

    check_teaching(task, ROWS)
    teacher = make_teacher(task)

    expected = logits_of(network(), torch.from_numpy(ROWS))
    torch.testing.assert_close(logits_of(teacher, torch.from_numpy(ROWS)), expected)


def test_quick_task_with_a_file_as_its_teacher_is_not_refused(tmp_path: Path) -> None:
    teacher = make_teacher(quick_task(task_with(onnx_file(tmp_path))))

    assert isinstance(teacher, OnnxNetwork)


def test_program_of_a_fixed_batch_answers_any_batch() -> None:
    teacher = make_teacher(task_with(program(Wrapped("constant reshape"))))

    expected = logits_of(network(), torch.from_numpy(ROWS))
    torch.testing.assert_close(logits_of(teacher, torch.from_numpy(ROWS)), expected)


def test_training_leaves_a_network_of_the_task_as_it_is() -> None:
    given = network()
    before = [weights.clone() for weights in given.parameters()]
    task = task_with(given, teacher_recipe=Recipe(epochs=1, batch=64, threads=1))

    trained = train_teacher(task, tiny_splits().train, seeded(0), SilentProgress())

    assert all(map(torch.equal, before, given.parameters()))
    assert not all(map(torch.equal, before, trained.parameters()))


def test_onnx_teacher_teaches_and_is_served_without_being_trained(tmp_path: Path) -> None:
    path = tmp_path / "matcher.onnx"
    onnx.save(traced(Matcher(), free=True), path)
    task, progress = task_with(path), EpochCounter()

    learned = learn(task, tiny_splits(), seed=0, progress=progress)

    assert "teacher" not in progress.tracked
    assert learned.cloud.accuracy > 0.9
    assert learned.capacities[-1].accuracy > 0.8


def test_onnx_teacher_with_a_recipe_is_refused(tmp_path: Path) -> None:
    task = task_with(onnx_file(tmp_path), teacher_recipe=Recipe(epochs=3))

    with pytest.raises(TeacherError, match=r"teacher\.onnx .* cannot be trained; remove teacher_r"):
        check_teaching(task, ROWS)


@pytest.mark.parametrize("feature", ["hints", "attention", "angular"])
def test_distillation_by_features_of_an_onnx_teacher_is_refused(
    feature: Any, tmp_path: Path
) -> None:
    task = task_with(onnx_file(tmp_path), distillation=Distillation(feature=feature))

    with pytest.raises(
        TeacherFeatureError, match=rf"by {feature} compares layers .* teacher\.onnx cannot be seen"
    ):
        check_teaching(task, ROWS)


def test_assistant_makes_features_of_an_onnx_teacher_unnecessary(tmp_path: Path) -> None:
    check_teaching(
        task_with(onnx_file(tmp_path), distillation=Distillation(feature="hints", assistants=(8,))),
        ROWS,
    )


@pytest.mark.parametrize("single", [False, True])
def test_onnx_teacher_is_served_in_another_sensor_frame(single: bool, tmp_path: Path) -> None:
    made = Recurrent(batch=1) if single else network()
    onnx.save(traced(made, free=not single), tmp_path / "teacher.onnx")
    framed = FramedTeacher(make_teacher(task_with(tmp_path / "teacher.onnx")), MIRRORED)

    _, logits = prepare_to_serve(task_with(tmp_path / "teacher.onnx"), framed, tiny_splits().train)

    turned = torch.from_numpy(ROWS * np.array([[1.0], [-1.0]], np.float32))
    expected = torch.cat([made(row[None]) for row in turned])
    torch.testing.assert_close(torch.from_numpy(logits[: len(ROWS)]), expected)


class Tangled(TinyTeacher):
    """Cannot be copied."""

    def __deepcopy__(self, memo: object) -> "Tangled":
        raise RuntimeError("it holds a lock")


@pytest.mark.parametrize(
    ("teacher", "error", "words"),
    [
        (
            lambda _: TinyTeacher,
            TeacherError,
            r"returned the class TinyTeacher and not a network; call it: TinyTeacher\(\.\.\.\)",
        ),
        (
            lambda _: program(network()).module(),
            TeacherError,
            r"fails in eval\(\): .*; return the exported program itself, not its module\(\)",
        ),
        (Tangled(TINY_TASK.signature), TeacherError, "copying failed: RuntimeError: it holds a"),
        ("weights.pt", TeacherError, "weights.pt is neither an .onnx nor a .pt2 file; for a file"),
        (
            "absent.pt2",
            OnnxTeacherError,
            r"the teacher absent\.pt2 cannot be read: No such file .*with_name",
        ),
        ("absent.onnx", OnnxTeacherError, r"the teacher absent\.onnx cannot be read: No such file"),
    ],
)
def test_teacher_that_cannot_be_used_is_refused(
    teacher: Any, error: type[CloudError], words: str
) -> None:
    with pytest.raises(error, match=f"^task tiny: .*{words}"):
        check_teaching(task_with(teacher), ROWS)


def test_damaged_program_is_refused(tmp_path: Path) -> None:
    path = program_file(tmp_path)
    path.write_bytes(path.read_bytes()[:500])

    with pytest.raises(OnnxTeacherError, match=r"teacher\.pt2 cannot be loaded by torch [\d.]+"):
        check_teaching(task_with(path), ROWS)


def test_unfit_file_is_named_in_the_error(tmp_path: Path) -> None:
    model = linear(outputs=[("labels", onnx.TensorProto.FLOAT, ["N", 3])])
    model.graph.node[1].output[0] = "labels"
    onnx.save(model, tmp_path / "teacher.onnx")
    teacher = OnnxTeacher(tmp_path / "teacher.onnx", output="scores")

    with pytest.raises(
        OnnxTeacherError, match=r"^task tiny: the teacher teacher\.onnx has no output 'scores'; its"
    ):
        check_teaching(task_with(teacher), ROWS)


def test_network_that_ends_in_a_softmax_is_refused() -> None:
    with pytest.raises(TeacherError, match=r"Wrapped answers with probabilities, .* remove the"):
        check_teaching(task_with(Wrapped("softmax")), ROWS)


def test_onnx_network_fails_in_words(tmp_path: Path) -> None:
    teacher = make_teacher(task_with(onnx_file(tmp_path)))
    assert isinstance(teacher, OnnxNetwork)

    with pytest.raises(
        OnnxTeacherError, match=r"^task tiny: the teacher teacher\.onnx fails on 1 inputs: "
    ):
        teacher(torch.zeros(1, 5, 5))


class Ended(nn.Module):
    """A teacher of windows of another task, with an activation at its end."""

    body: nn.Module

    def __init__(self, task: Task, activation: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        length, outputs = task.signature.shape[1], kind_of(task.signature).teacher_outputs
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(2 * length, outputs))
        self.end = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = self.end(self.body(x))
        return values


@pytest.mark.parametrize("task", [ANOMALY, MULTI_LABEL, REGRESSION])
def test_onnx_teacher_of_every_kind_answers_what_the_task_learns_from(
    task: Task, tmp_path: Path
) -> None:
    made = Ended(task, nn.Sigmoid()).eval()
    path = tmp_path / "teacher.onnx"
    onnx.save(traced(made, free=True, shape=task.signature.shape), path)
    inputs = torch.from_numpy(task.load(None, 0).train.inputs[:5])

    found = make_teacher(dataclasses.replace(task, teacher=path, teacher_recipe=None))(inputs)

    logits = kind_of(task.signature).name == "multi-label"
    torch.testing.assert_close(found, made.body(inputs) if logits else made(inputs))
