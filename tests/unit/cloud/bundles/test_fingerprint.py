import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grimp
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from nestling_cloud.bundles.fingerprint import LEARNING_CODE, fingerprint
from nestling_cloud.tasks import (
    Lstm,
    OnnxTeacher,
    Recipe,
    Signature,
    Splits,
    Task,
    conv_student,
    load_task,
    recurrent_student,
)
from nestling_core.execution.session import open_session
from tests.support.onnx_teachers import linear
from tests.support.teacher_file import load_teacher, save_teacher
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits


def test_fingerprint_is_the_same_for_the_same_task_data_and_seed() -> None:
    before = fingerprint(TINY_TASK, tiny_splits(), 0)

    assert before == fingerprint(dataclasses.replace(TINY_TASK), tiny_splits(), 0)


def other_unit() -> Task:
    signature = Signature()
    signature.CopyFrom(TINY_TASK.signature)
    signature.units[0] = "mV"
    return dataclasses.replace(TINY_TASK, signature=signature)


OTHER_TASKS = {
    "name": dataclasses.replace(TINY_TASK, name="other"),
    "unit": other_unit(),
    "student": dataclasses.replace(
        TINY_TASK, student=conv_student(channels=(6, 8), strides=(1, 1))
    ),
    "teacher recipe": dataclasses.replace(TINY_TASK, teacher_recipe=Recipe(epochs=11, batch=64)),
    "student recipe": dataclasses.replace(TINY_TASK, student_recipe=Recipe(epochs=20, batch=65)),
    "stored inputs": dataclasses.replace(TINY_TASK, keep_inputs="none"),
    "augmentation": dataclasses.replace(TINY_TASK, augment=lambda inputs, _generator: inputs),
}


@pytest.mark.parametrize("change", OTHER_TASKS)
def test_fingerprint_changes_with_the_configuration(change: str) -> None:
    before = fingerprint(TINY_TASK, tiny_splits(), 0)

    assert before != fingerprint(OTHER_TASKS[change], tiny_splits(), 0)


def test_fingerprint_distinguishes_blocks_of_the_same_sizes() -> None:
    gru = recurrent_student(channels=(4,), strides=(1,), hidden=4)
    lstm = recurrent_student(channels=(4,), strides=(1,), hidden=4, cell=Lstm)

    one, other = (
        fingerprint(dataclasses.replace(TINY_TASK, student=student), tiny_splits(), 0)
        for student in (gru, lstm)
    )

    assert one != other


def test_fingerprint_changes_with_the_seed() -> None:
    assert fingerprint(TINY_TASK, tiny_splits(), 0) != fingerprint(TINY_TASK, tiny_splits(), 1)


def in_train(splits: Splits) -> None:
    splits.train.inputs[-1][-1, -1] += 1e-3


def in_calibration(splits: Splits) -> None:
    splits.calibration.labels[0] = (splits.calibration.labels[0] + 1) % 3


def in_test(splits: Splits) -> None:
    splits.test[1].inputs[0][0, 0] += 1e-3


@pytest.mark.parametrize("change", [in_train, in_calibration, in_test])
def test_fingerprint_changes_with_one_number_of_the_data(change: Callable[[Splits], None]) -> None:
    changed = tiny_splits()
    change(changed)

    assert fingerprint(TINY_TASK, tiny_splits(), 0) != fingerprint(TINY_TASK, changed, 0)


def test_fingerprint_covers_exactly_the_code_that_affects_a_bundle() -> None:
    graph = grimp.build_graph("nestling", "nestling_core", "nestling_cloud")
    makers = {"nestling_cloud.learning.pipeline", "nestling_cloud.bundles.release"}
    reached = makers.union(*(graph.find_upstream_modules(maker) for maker in makers))
    says_and_computes_nothing = {
        "nestling_cloud.errors",
        "nestling_cloud.progress",
        "nestling_cloud.tasks.label_check",
        "nestling_cloud.tasks.single_label",
        "nestling_cloud.tasks.user_code_errors",
    }
    augmentations = ("motion", "pictures", "sounds")
    of_tasks = {f"nestling_cloud.tasks.{name}" for name in augmentations}

    covered = {
        module: [name for name in LEARNING_CODE if f"{module}.".startswith(f"{name}.")]
        for module in reached - says_and_computes_nothing | of_tasks
    }
    assert [module for module, names in covered.items() if not names] == []
    assert {name for names in covered.values() for name in names} == set(LEARNING_CODE)
    assert not any(
        module.startswith(f"nestling_cloud.{other}")
        for module in reached
        for other in ("console", "telemetry", "commands", "cli", "service", "federated")
    )


@pytest.mark.parametrize("recipe", [None, Recipe(epochs=1)])
def test_fingerprint_changes_with_the_weights_in_a_teachers_file(
    tmp_path: Path, recipe: Recipe | None
) -> None:
    path = tmp_path / "teacher.pt"
    task = dataclasses.replace(
        TINY_TASK, teacher=lambda _signature: load_teacher(path), teacher_recipe=recipe
    )
    save_teacher(path, seed=1)
    before = fingerprint(task, tiny_splits(), 0)
    assert before == fingerprint(task, tiny_splits(), 0)

    save_teacher(path, seed=2)

    assert before != fingerprint(task, tiny_splits(), 0)


class Constant(TinyTeacher):
    """Has a number, a tensor and a list that are not in its state dictionary."""

    def __init__(self, number: float, tensor: float, listed: float) -> None:
        super().__init__(TINY_TASK.signature)
        self.number = number
        self.tensor = torch.tensor([tensor])
        self.listed = [{"mean": np.array([listed])}]


@pytest.mark.parametrize("other", [(2.0, 2.0, 3.0), (1.0, 3.0, 3.0), (1.0, 2.0, 4.0)])
def test_fingerprint_changes_with_values_outside_the_state_dictionary(
    other: tuple[float, float, float],
) -> None:
    def fingerprint_of(numbers: tuple[float, float, float]) -> str:
        task = dataclasses.replace(TINY_TASK, teacher=lambda _signature: Constant(*numbers))
        return fingerprint(task, tiny_splits(), 0)

    assert fingerprint_of((1.0, 2.0, 3.0)) != fingerprint_of(other)


def lazy_task(hidden: int) -> Task:
    def teacher(_signature: Signature) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(hidden), nn.LazyLinear(3))

    return dataclasses.replace(TINY_TASK, teacher=teacher)


def test_teacher_with_lazy_parameters_has_a_fingerprint() -> None:
    before = fingerprint(lazy_task(4), tiny_splits(), 0)

    assert before == fingerprint(lazy_task(4), tiny_splits(), 0)
    assert before != fingerprint(lazy_task(5), tiny_splits(), 0)


FINGERPRINT_ALONE = """
import sys
from tests.support.tiny_task import TINY_TASK, tiny_splits
from nestling_cloud.bundles.fingerprint import fingerprint
fingerprint(TINY_TASK, tiny_splits(), 0)
assert "torch._inductor" not in sys.modules
"""


def test_fingerprint_does_not_load_torchs_compiler() -> None:
    root = Path(__file__).parents[4]

    subprocess.run([sys.executable, "-c", FINGERPRINT_ALONE], check=True, cwd=root)


TASK_FILE = """
import dataclasses
from pathlib import Path
from tests.support.tiny_task import TINY_TASK
from {helper} import shifted
NOISE = Path(__file__).with_name("noise.bin")
TASK = dataclasses.replace(TINY_TASK, augment=lambda inputs, generator: shifted(inputs))
"""


@pytest.mark.parametrize("changed", ["module", "file"])
def test_fingerprint_changes_with_what_a_task_file_imports_and_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    helper = f"helper_of_{changed}"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "mine.py").write_text(TASK_FILE.format(helper=helper))
    module, noise = tmp_path / f"{helper}.py", tmp_path / "noise.bin"
    module.write_text("def shifted(inputs):\n    return inputs + 1\n")
    noise.write_bytes(b"quiet")
    reference = f"{tmp_path}/mine.py:TASK"
    before = fingerprint(load_task(reference), tiny_splits(), 0)
    assert before == fingerprint(load_task(reference), tiny_splits(), 0)

    if changed == "module":
        module.write_text("def shifted(inputs):\n    return inputs + 2\n")
    else:
        noise.write_bytes(b"loud")

    assert before != fingerprint(load_task(reference), tiny_splits(), 0)


def save_onnx(path: Path, scale: float) -> None:
    model = linear()
    weights = model.graph.initializer[0]
    changed = numpy_helper.to_array(weights) * np.float32(scale)
    weights.CopyFrom(numpy_helper.from_array(changed, "weights"))
    onnx.save(model, path)


def save_parted(path: Path, scale: float) -> None:
    """Save a model whose weights are in another file."""
    save_onnx(path, scale)
    path.with_name("weights.bin").unlink(missing_ok=True)
    onnx.save(
        onnx.load(path),
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )


def filled(scale: float) -> TinyTeacher:
    teacher = TinyTeacher(TINY_TASK.signature)
    with torch.no_grad():
        for weights in teacher.parameters():
            weights.fill_(scale)
    return teacher


def save_program(path: Path, scale: float) -> None:
    torch.export.save(torch.export.export(filled(scale), (torch.zeros(1, 2, 16),)), path)


def save_script(path: Path, scale: float) -> None:
    trace: Any = torch.jit.trace
    trace(filled(scale), torch.zeros(1, 2, 16)).save(str(path))


def load_script(path: Path) -> nn.Module:
    load: Any = torch.jit.load
    loaded: nn.Module = load(str(path))
    return loaded


class Indirect(nn.Module):
    """Keeps the runtime of a file in an attribute, as users write it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.session = open_session(path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (logits,) = self.session.run(None, {"samples": x.numpy()})
        return torch.from_numpy(logits)


FILES: dict[str, tuple[Callable[[Path, float], None], Callable[[Path], Any]]] = {
    "teacher.onnx": (save_onnx, lambda path: path),
    "parted.onnx": (save_parted, lambda path: lambda _signature: OnnxTeacher(path)),
    "teacher.pt2": (save_program, lambda path: path),
    "program": (save_program, torch.export.load),
    "script": (save_script, lambda path: lambda _signature: load_script(path)),
    "indirect": (save_onnx, lambda path: lambda _signature: Indirect(path)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit
@pytest.mark.parametrize("kind", FILES)
def test_fingerprint_changes_with_the_content_of_a_teachers_file_and_not_with_its_place(
    tmp_path: Path, kind: str
) -> None:
    save, teacher = FILES[kind]

    def fingerprint_of(path: Path) -> str:
        task = dataclasses.replace(TINY_TASK, teacher=teacher(path), teacher_recipe=None)
        return fingerprint(task, tiny_splits(), 0)

    path = tmp_path / "first" / kind
    path.parent.mkdir()
    save(path, 1.0)
    before = fingerprint_of(path)
    shutil.copytree(path.parent, tmp_path / "second")

    assert before == fingerprint_of(path)
    assert before == fingerprint_of(tmp_path / "second" / kind)
    save(path, 2.0)
    assert before != fingerprint_of(path)


@pytest.mark.parametrize(
    "other",
    [{"mean": 1.0}, {"std": 2.0}, {"output": "scores"}, {"input": "samples"}],
)
def test_fingerprint_changes_with_the_ends_of_an_onnx_teacher(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    save_onnx(tmp_path / "teacher.onnx", 1.0)
    plain, changed = (
        dataclasses.replace(
            TINY_TASK, teacher=OnnxTeacher(tmp_path / "teacher.onnx", **ends), teacher_recipe=None
        )
        for ends in ({}, other)
    )

    assert fingerprint(plain, tiny_splits(), 0) != fingerprint(changed, tiny_splits(), 0)


BESIDE_FILE = """
import dataclasses
from tests.support.tiny_task import TINY_TASK
from settings import SHIFT
TASK = dataclasses.replace(TINY_TASK, augment=lambda inputs, generator: inputs + SHIFT)
"""


def test_fingerprint_changes_with_a_module_beside_the_task_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BESIDE_FILE)

    def fingerprint_with(settings: str) -> str:
        (tmp_path / "settings.py").write_text(settings)
        return fingerprint(load_task(f"{tmp_path}/mine.py:TASK"), tiny_splits(), 0)

    before = fingerprint_with("SHIFT = 1")  # a plain number does not tell where it comes from

    assert before == fingerprint_with("SHIFT = 1")
    assert before != fingerprint_with("SHIFT = 2")
