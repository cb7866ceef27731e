"""Computes the hash under which the cache stores a trained bundle."""

import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nestling_cloud.bundles.network_content import answers_bytes, content_of
from nestling_cloud.bundles.task_source_files import files_behind
from nestling_cloud.learning.make_teacher import make_teacher
from nestling_cloud.learning.torch_device import trained_on
from nestling_cloud.recipes.recipe import TRAINING_THREADS
from nestling_cloud.tasks.examples import Examples, Splits
from nestling_cloud.tasks.inputs import batches_of
from nestling_cloud.tasks.task import Task

# The code that a bundle follows from; a change to the console retrains nothing. A package stands
# for all of its modules. A test checks the list against the imports of `learning.pipeline` and
# `bundles.release`.
LEARNING_CODE = (
    "nestling.v1.bundle_pb2",
    "nestling.v1.delivery_pb2",
    "nestling_cloud.atomic_file",
    "nestling_cloud.bundles.blob_folder",
    "nestling_cloud.bundles.open_files",
    "nestling_cloud.bundles.release",
    "nestling_cloud.bundles.release_check",
    "nestling_cloud.bundles.repository",
    "nestling_cloud.bundles.repository_errors",
    "nestling_cloud.cloud_model",
    "nestling_cloud.datasets.picture_graph",
    "nestling_cloud.learning",
    "nestling_cloud.models",
    "nestling_cloud.recipes",
    "nestling_cloud.sealed_file",
    "nestling_cloud.tasks.appended_rows",
    "nestling_cloud.tasks.examples",
    "nestling_cloud.tasks.inputs",
    "nestling_cloud.tasks.keep_inputs",
    "nestling_cloud.tasks.motion",
    "nestling_cloud.tasks.pictures",
    "nestling_cloud.tasks.row_file",
    "nestling_cloud.tasks.sample",
    "nestling_cloud.tasks.sounds",
    "nestling_cloud.tasks.stored_inputs",
    "nestling_cloud.tasks.task",
    "nestling_cloud.temporary_files",
    "nestling_core.belief",
    "nestling_core.execution",
    "nestling_core.file_sync",
    "nestling_core.guarantee",
    "nestling_core.kinds",
    "nestling_core.media",
    "nestling_core.nest",
    "nestling_core.parsing",
    "nestling_core.routing",
    "nestling_core.student",
    "nestling_core.wire",
)


def fingerprint(task: Task, splits: Splits, seed: int) -> str:
    """Return a hash of everything that affects the bundle of a task.

    The hash covers:

    - the seed;
    - the task's name, signature, student, recipes and `stored_inputs`, the options of an
      augmentation that a task file describes, and whether the task is quick;
    - whether torch trains on a graphics processor, and on which;
    - the data;
    - the layers and weights of the teacher that the task builds, even if they come from a file, and
      its answers to a few inputs;
    - the learning code of Nestling, and the code of the task with the modules that it imports;
    - the versions of torch, onnxruntime and numpy.

    The function sets torch's number of threads, its deterministic mode and its random seed.

    Args:
        task: the task, whose teacher is built once to be hashed.
        splits: the task's data.
        seed: the random seed of the training, which may determine the teacher's initial weights.

    Returns:
        The SHA-256 in hexadecimal.

    Raises:
        TeacherError: the task's teacher cannot be built.
    """
    digest = hashlib.sha256()
    for piece in _pieces(task, splits, seed):
        digest.update(len(piece).to_bytes(8, "big"))
        digest.update(piece)
    return digest.hexdigest()


def _pieces(task: Task, splits: Splits, seed: int) -> Iterator[bytes]:
    teacher = _make_teacher(task, seed)
    yield json.dumps(
        {
            "seed": seed,
            "task": task.name,
            "quick": task.quick,
            "trained_on": trained_on(),
            "keep_inputs": task.stored_inputs,
            "wire_tolerance": task.wire_tolerance,
            "student": repr(task.student),  # includes the types of its blocks
            # A function is covered by its file, an object of a task file by its values.
            "augment": repr(task.augment) if dataclasses.is_dataclass(task.augment) else "",
            "recipes": [
                recipe and dataclasses.asdict(recipe)
                for recipe in (
                    task.teacher_recipe,
                    task.student_recipe,
                    task.distillation,
                    task.nesting,
                    task.quantization,
                )
            ],
            "versions": [
                torch.__version__,
                importlib.metadata.version("onnxruntime"),
                np.__version__,
            ],
        },
        sort_keys=True,
    ).encode()
    yield task.signature.SerializeToString(deterministic=True)
    for examples in (splits.train, splits.calibration, *splits.test):
        yield from _examples(examples)
    ours = {path for name in LEARNING_CODE for path in _files(name)}
    layers = {type(layer) for layer in teacher.modules()}
    theirs = files_behind(task.load, task.teacher, task.augment, *layers)
    for path in [*sorted(ours), *sorted(theirs)]:
        with path.open("rb") as file:
            yield hashlib.file_digest(file, "sha256").digest()
    yield from content_of(teacher)
    yield answers_bytes(teacher, splits.train.inputs)


def _make_teacher(task: Task, seed: int) -> nn.Module:
    """Build the teacher reproducibly, even if the task's `teacher` function trains it.

    The function sets torch up like `loop.seeded`, but without torch's compiler. Loading the
    compiler takes seconds, and a run whose bundle is in the cache does not need the compiler.
    """
    torch.set_num_threads(TRAINING_THREADS)
    torch.set_deterministic_debug_mode("error")
    torch.manual_seed(seed)
    return make_teacher(task)


def _examples(examples: Examples) -> Iterator[bytes]:
    inputs = hashlib.sha256()
    for batch in batches_of(examples.inputs):
        inputs.update(np.ascontiguousarray(batch).data)
    yield f"{examples.inputs.dtype} {examples.inputs.shape}".encode()
    yield inputs.digest()
    yield np.ascontiguousarray(examples.labels).tobytes()
    yield np.array(examples.lengths, np.int64).tobytes()


def _files(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    origin = Path(spec.origin)
    return list(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
