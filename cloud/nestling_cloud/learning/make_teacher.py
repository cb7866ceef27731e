"""Makes a task's teacher as a network, whatever the task gives as its teacher."""

import copy
import hashlib
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from nestling_cloud.errors import CloudError
from nestling_cloud.learning.onnx.exported_program import load_program, model_of, program_digest
from nestling_cloud.learning.onnx.model_ends import Expected
from nestling_cloud.learning.onnx.onnx_file import named, read_file, read_model, serialize
from nestling_cloud.learning.onnx.onnx_network import OnnxNetwork, OnnxSource
from nestling_cloud.models.default_teacher import default_teacher
from nestling_cloud.models.onnx_teacher import OnnxTeacher
from nestling_cloud.tasks.task import DEFAULT_TEACHER_RECIPE, Task
from nestling_cloud.tasks.user_code_errors import blamed, users_code
from nestling_core.kinds.labels import MultiLabel, SingleLabel
from nestling_core.kinds.of_signature import kind_of

_PROGRAM_ENDS = OnnxTeacher("program.pt2")  # its only input and output, not normalized


class TeacherError(CloudError):
    """Raised when a teacher cannot be made or served, or when its outputs do not suit the task."""


def outputs_of(task: Task) -> int:
    """Return the number of values with which a task's teacher answers one input."""
    return kind_of(task.signature).teacher_outputs


def name_of(teacher: nn.Module) -> str:
    """Return the name by which messages call a teacher: its class, or the name of its file."""
    return teacher.label if isinstance(teacher, OnnxNetwork) else type(teacher).__name__


def make_teacher(task: Task) -> nn.Module:
    """Return the task's teacher as the task provides it, in evaluation mode.

    A network that the task gives itself, and not as the result of a function, is copied, so that
    training leaves the task's own as it is.

    Raises:
        TeacherError: the task's function fails or returns nothing that can be a teacher, or the
            task sets a recipe for a teacher that cannot be trained.
        OnnxTeacherError: the teacher's file cannot be read.
    """
    made: Any = task.teacher
    if made is default_teacher:  # it reads what the student reads
        made = partial(default_teacher, front_end=task.student.front_end)
    what = f"task {task.name}: teacher"
    if isinstance(made, nn.Module):
        with users_code(f"{what} is a network whose copying", TeacherError):
            made = copy.deepcopy(made)
    elif callable(made) and not isinstance(made, ExportedProgram):
        what = f"{what}(signature)"
        with users_code(what, TeacherError):
            made = made(task.signature) if _takes_argument(made) else made()
        if isinstance(made, type):
            raise TeacherError(
                f"{what} returned the class {made.__name__} and not a network; call it: "
                f"{made.__name__}(...)"
            )
    if isinstance(made, nn.Module):
        return _evaluating(what, made)
    network = _onnx_network(task, made)
    if network is None:
        kind = "None" if made is None else f"a {type(made).__name__}"
        raise TeacherError(
            f"{what} returned {kind} and not a torch.nn.Module, an OnnxTeacher, an exported "
            "program, or the path of an .onnx or .pt2 file; return one of them"
        )
    # A quick task has shortened the recipe that it would otherwise have by default.
    if task.teacher_recipe not in (None, DEFAULT_TEACHER_RECIPE) and not task.quick:
        raise TeacherError(
            f"task {task.name}: the teacher {name_of(network)} is used as it is and cannot be "
            "trained; remove teacher_recipe from the task"
        )
    return network.eval()


def _takes_argument(function: Callable[..., Any]) -> bool:
    """Return whether a function or a class is called with the signature, or without arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C
        return True
    return any(one.kind != inspect.Parameter.KEYWORD_ONLY for one in parameters)


def _evaluating(what: str, network: nn.Module) -> nn.Module:
    try:
        return network.eval()
    except Exception as err:  # a user's network may raise anything
        advice = (
            "; return the exported program itself, not its module()"
            if isinstance(err, NotImplementedError)
            else ""
        )
        raise TeacherError(
            f"{what} made a {type(network).__name__} that fails in eval(): {blamed(err)}{advice}"
        ) from err


def _onnx_network(task: Task, made: object) -> OnnxNetwork | None:
    """Return a file or a program as a network; None if `made` is neither."""
    if isinstance(made, ExportedProgram):
        return _program(task, "exported program", made, program_digest(made))
    path = Path(made) if isinstance(made, str | Path) else None
    if path is not None and path.suffix == ".pt2":
        with named(f"task {task.name}: the teacher {path.name}"):
            data = read_file(path)
        return _program(task, path.name, data, hashlib.sha256(data).hexdigest())
    if path is not None and path.suffix == ".onnx":
        made = OnnxTeacher(path)
    elif path is not None:
        raise TeacherError(
            f"task {task.name}: the teacher {path} is neither an .onnx nor a .pt2 file; for a file "
            "of weights, write a function that makes the network and loads them into it"
        )
    return _file(task, made) if isinstance(made, OnnxTeacher) else None


def _expected(task: Task) -> Expected:
    """Return what a file must answer in a task."""
    match kind_of(task.signature):
        case SingleLabel():
            activations = frozenset({"Softmax", "Sigmoid"})
        case MultiLabel():
            activations = frozenset({"Sigmoid"})
        case _:
            activations = frozenset()
    return Expected(count=outputs_of(task), activations=activations)


def _program(task: Task, label: str, program: ExportedProgram | bytes, digest: str) -> OnnxNetwork:
    source = OnnxSource(
        where=f"task {task.name}: the teacher {label}",
        read=lambda: model_of(load_program(program) if isinstance(program, bytes) else program),
        ends=_PROGRAM_ENDS,
        shape=task.signature.shape,
        expected=_expected(task),
    )
    return OnnxNetwork(label, source, digest)


def _file(task: Task, teacher: OnnxTeacher) -> OnnxNetwork:
    path = Path(teacher.path)
    where = f"task {task.name}: the teacher {path.name}"
    with named(where):
        model = read_model(path)
        digest = hashlib.sha256(serialize(model))
    digest.update(repr((teacher.input, teacher.output, teacher.mean, teacher.std)).encode())
    source = OnnxSource(
        where=where,
        read=lambda: model,
        ends=teacher,
        shape=task.signature.shape,
        expected=_expected(task),
    )
    return OnnxNetwork(path.name, source, digest.hexdigest())
