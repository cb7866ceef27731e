"""What a task brings of its own that a bundle follows from: code, files that it names, the teacher.

A teacher counts by its numbers, wherever they come from: weights that were replaced in their file
make another teacher, and so does an edit in a module that the task imports.
"""

import hashlib
import inspect
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from nestling_cloud.tasks.blame import is_installed
from nestling_cloud.tasks.task import Task
from nestling_cloud.teacher import make_teacher
from nestling_cloud.training import seeded

_OURS = ("nestling", "nestling_cloud", "nestling_device", "nestling_sim")
_ADDRESS = re.compile(r"0x[0-9a-f]+")


def origins(task: Task, seed: int) -> Iterator[bytes]:
    """Everything that the task's own code decides, in an order that is always the same.

    Args:
        task: whose teacher is made once for this.
        seed: of the training; a teacher's first weights may follow from it.

    Raises:
        TeacherError: the task cannot make its teacher.
    """
    seeded(seed)
    teacher = make_teacher(task)
    kinds = {type(module) for module in teacher.modules()}
    for path in sorted(_files([task.load, task.teacher, task.augment, *kinds])):
        with path.open("rb") as file:
            yield hashlib.file_digest(file, "sha256").digest()
    yield from _numbers(teacher)


def _numbers(teacher: nn.Module) -> Iterator[bytes]:
    """A network's layers and every number in it, also what its state dictionary leaves out."""
    yield _ADDRESS.sub("", repr(teacher)).encode()
    tensors = [*teacher.named_parameters(), *teacher.named_buffers()]
    for name, module in teacher.named_modules():
        held = [(f"{name}.{key}", value) for key, value in sorted(vars(module).items())]
        tensors += [(key, value) for key, value in held if isinstance(value, torch.Tensor)]
        for key, value in held:
            if isinstance(value, bool | int | float | str | tuple):
                yield f"{key} {_ADDRESS.sub('', repr(value))}".encode()
            elif isinstance(value, np.ndarray):
                yield f"{key} {value.dtype} {value.shape}".encode() + value.tobytes()
    for name, tensor in tensors:
        flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        yield f"{name} {tensor.dtype} {list(tensor.shape)}".encode() + flat.numpy().tobytes()


def _files(makers: list[Any]) -> set[Path]:
    """Files of makers, of what their modules import that nobody installed, and that these name."""
    found, seen = set[Path](), set[str]()
    waiting = []
    for maker in makers:
        module = _module_of(maker)
        if module is not None:
            waiting.append(module)
            found |= _own_file(module)  # also of a task of ours
    while waiting:
        module = waiting.pop()
        if module.__name__ in seen or _is_installed(module):
            continue
        seen.add(module.__name__)
        found |= _own_file(module)
        for name, value in vars(module).items():
            if name.startswith("__"):
                continue
            if isinstance(value, Path | str):
                found |= _named_file(value)
            elif (used := _module_of(value)) is not None:
                waiting.append(used)
    return found


def _module_of(value: Any) -> ModuleType | None:
    if isinstance(value, partial):
        value = value.func
    if isinstance(value, ModuleType):
        return value
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        value = type(value)
    return sys.modules.get(getattr(value, "__module__", None) or "")


def _own_file(module: ModuleType) -> set[Path]:
    name = getattr(module, "__file__", None)
    path = Path(name) if name else None
    return {path} if path is not None and path.is_file() and not is_installed(path) else set()


def _named_file(value: Path | str) -> set[Path]:
    """A file that a global names: a path, or a text that is an absolute one."""
    try:
        path = Path(value)
        return (
            {path} if (isinstance(value, Path) or path.is_absolute()) and path.is_file() else set()
        )
    except (OSError, ValueError):  # a text that is no path
        return set()


def _is_installed(module: ModuleType) -> bool:
    """Whether a module's version is known otherwise: it is a library's, or ours."""
    path = getattr(module, "__file__", None)
    ours = module.__name__.partition(".")[0] in _OURS
    return ours or path is None or is_installed(Path(path))
