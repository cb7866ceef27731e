"""Exports a released bundle as ONNX models and a JSON manifest, which other tools can read."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from google.protobuf import json_format
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import GoldenInputs, Manifest
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.errors import CloudError
from nestling_core.execution.session import open_session
from nestling_core.nest.bundle_files import Activations, activations_in, template_of, weights_file
from nestling_core.nest.capacity import check_capacity, run_capacity
from nestling_core.nest.layout import assemble


class ExportError(CloudError):
    """Raised when a bundle cannot be exported, or when its exported files fail their check.

    A bundle cannot be exported if the folder is not empty, or if a capacity has no graph with the
    requested type of activations.
    """


def export_bundle(
    repository: Repository,
    folder: Path,
    *,
    activations: Activations = "uint8",
    force: bool = False,
) -> list[Path]:
    """Export the bundle that devices should run as files that other tools can read.

    Args:
        repository: the repository of the bundle.
        folder: the folder to write to, which is created if it does not exist.
        activations: the integer type of the activations in the capacities' graphs. x86 processors
            are faster with "uint8", ARM processors with "int8".
        force: True to write to a folder that is not empty and replace files with the same names.

    Returns:
        The paths of the files: for every capacity k, `capacity-k.onnx` and `capacity-k.weights`,
        then the teacher as `<cloud model>.onnx`, and `manifest.json`.

    Raises:
        ExportError: the folder is not empty and `force` is False, a capacity has no template (graph
            without weights) with these activations, or the exported files fail their check. The
            check fails if a model cannot be loaded, or if a capacity's logits for the golden inputs
            are wrong. The files then stay in the folder.
        RepositoryError: nothing was released, or a blob is missing or damaged.
    """
    manifest = repository.manifest()
    _check_activations(manifest, activations)
    teacher = repository.read_model(manifest.cloud)
    golden = repository.read_whole(manifest.golden)
    capacities = [
        (repository.read_whole(entry.ring), repository.read_whole(template_of(entry, activations)))
        for entry in manifest.capacities
    ]
    _prepare(folder, force=force)
    written = _export_capacities(manifest, folder, capacities)
    rest = {
        f"{manifest.cloud.name}.onnx": teacher,
        "manifest.json": _json(manifest).encode(),
    }
    for name, data in rest.items():
        (folder / name).write_bytes(data)
    _try_files(manifest, golden, folder)
    return [*written, *(folder / name for name in rest)]


def export_capacity(
    folder: Path, template: bytes, tensors: Mapping[str, NDArray[np.int8]], capacity: int
) -> Path:
    """Write a template and its weights as a pair of files that any ONNX runtime can load.

    Args:
        folder: an existing folder to write to.
        template: the capacity's graph without its weights, as `build_template` returns it.
        tensors: a mapping from the names of the capacity's weight tensors to the tensors, in the
            order of the bundle's layout.
        capacity: the number of the capacity, 1 to K.

    Returns:
        The path of the .onnx file.
    """
    weights = b"".join(np.ascontiguousarray(tensor).tobytes() for tensor in tensors.values())
    (folder / weights_file(capacity)).write_bytes(weights)
    path = folder / f"capacity-{capacity}.onnx"
    path.write_bytes(template)
    return path


def _check_activations(manifest: Manifest, activations: Activations) -> None:
    """Raise ExportError if the bundle does not have every graph with this type of activations.

    Graphs with the other type would give the same answers, only more slowly, so nobody would notice
    that the wrong graphs were exported.
    """
    if activations not in activations_in(manifest):
        raise ExportError(
            f"release {manifest.release} of {manifest.task} has no graphs with {activations} "
            "activations; train it again with nestling-cloud bundle train, or omit --activations"
        )


def _export_capacities(
    manifest: Manifest, folder: Path, capacities: Sequence[tuple[bytes, bytes]]
) -> list[Path]:
    """Write the two files of every capacity and return their paths.

    `capacities` has a pair for each capacity, the smallest first: its ring (the weights that it
    adds to the next smaller capacity) and its template (the graph without weights).
    """
    written: list[Path] = []
    for number, (_, template) in enumerate(capacities, start=1):
        tensors = assemble(manifest.tensors, [ring for ring, _ in capacities[:number]])
        path = export_capacity(folder, template, tensors, number)
        written += [path, folder / weights_file(number)]
    return written


def _try_files(manifest: Manifest, golden: bytes, folder: Path) -> None:
    """Raise ExportError if an exported model cannot be loaded, or if a capacity's logits are wrong.

    The models are loaded from the exported files, as other tools will load them.
    """
    try:
        expected = GoldenInputs.FromString(golden)
        for number in range(1, len(manifest.capacities) + 1):
            run = partial(run_capacity, open_session(folder / f"capacity-{number}.onnx"))
            check_capacity(run, manifest, expected, number)
        CloudModel(manifest.cloud.name, folder / f"{manifest.cloud.name}.onnx")
    # onnxruntime raises a dozen classes that share no other base.
    except Exception as err:
        raise ExportError(
            f"the files in {folder} do not give the bundle's answers, so do not use them: {err}; "
            "train and release the bundle again"
        ) from err


def _prepare(folder: Path, *, force: bool) -> None:
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise ExportError(f"{folder} is not empty; name another folder, or add --force")
    folder.mkdir(parents=True, exist_ok=True)


def _json(manifest: Manifest) -> str:
    text = json_format.MessageToJson(
        manifest, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return f"{text}\n"
