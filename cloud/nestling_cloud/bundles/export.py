"""Export a released bundle as files that other tools can read: ONNX models and a JSON manifest."""

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
    """The folder cannot be used, the bundle lacks a template, or an exported file is wrong."""


def export_bundle(
    repository: Repository,
    folder: Path,
    *,
    activations: Activations = "uint8",
    force: bool = False,
) -> list[Path]:
    """Write the desired bundle: every capacity, the teacher, and the manifest.

    Args:
        repository: repository of the bundle.
        folder: folder to write to; created if it does not exist.
        activations: integer type in the capacities' graphs; x86 is fast with "uint8", ARM with
            "int8".
        force: write to a folder that is not empty, and replace files with the same names.

    Returns:
        The files: for every capacity k, `capacity-k.onnx` and `capacity-k.weights`, then
        `<cloud model>.onnx` and `manifest.json`.

    Raises:
        ExportError: the folder is not empty and `force` is False; the bundle has no templates with
            these activations; or an exported model does not give the bundle's golden answers.
        RepositoryError: nothing was released, or a blob is missing or damaged.
    """
    manifest = repository.manifest()
    _check_activations(manifest, activations)
    teacher = repository.read_model(manifest.cloud.name)
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
        folder: existing folder to write to.
        template: graph made by `build_template`.
        tensors: the capacity's tensors by name, in the layout's order.
        capacity: 1 to K.

    Returns:
        Path of the .onnx file.
    """
    weights = b"".join(np.ascontiguousarray(tensor).tobytes() for tensor in tensors.values())
    (folder / weights_file(capacity)).write_bytes(weights)
    path = folder / f"capacity-{capacity}.onnx"
    path.write_bytes(template)
    return path


def _check_activations(manifest: Manifest, activations: Activations) -> None:
    """Refuse activations that the bundle lacks; a wrong type would only show as a slow device."""
    if activations not in activations_in(manifest):
        raise ExportError(
            f"release {manifest.release} of {manifest.task} has no graphs with {activations} "
            "activations; train it again with nestling-cloud bundle train, or omit --activations"
        )


def _export_capacities(
    manifest: Manifest, folder: Path, capacities: Sequence[tuple[bytes, bytes]]
) -> list[Path]:
    """Write every capacity, given its ring and its template."""
    written: list[Path] = []
    for number, (_, template) in enumerate(capacities, start=1):
        tensors = assemble(manifest.tensors, [ring for ring, _ in capacities[:number]])
        path = export_capacity(folder, template, tensors, number)
        written += [path, folder / weights_file(number)]
    return written


def _try_files(manifest: Manifest, golden: bytes, folder: Path) -> None:
    """Open the files as their user will, and check their answers to the golden inputs."""
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
