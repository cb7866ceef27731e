"""What a released bundle holds, for people and for machines."""

from typing import Any

from google.protobuf.message import DecodeError
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from nestling.v1.bundle_pb2 import Calibration, Manifest
from nestling_cloud.bundles.guarantee_text import guarantee_lines, guarantees
from nestling_cloud.bundles.repository import Repository, RepositoryError
from nestling_core.nest.bundle_files import activations_in, shared_blobs


def overview(repository: Repository) -> dict[str, Any]:
    """Describe the desired bundle, ready for JSON; sizes are bytes.

    Raises:
        RepositoryError: nothing was released, or a part is missing or damaged.
    """
    manifest = repository.manifest()
    desired = repository.desired()
    assert desired is not None  # it has a manifest
    cloud, calibration = manifest.cloud, _calibration(repository, manifest)
    return {
        "task": manifest.task,
        "bundle_version": desired.bundle_version,
        "release": manifest.release,
        "input_shape": list(manifest.signature.shape),
        "classes": list(manifest.signature.classes),
        "activations": activations_in(manifest),
        "capacities": _capacities(manifest),
        "cloud": {
            "name": cloud.name,
            "calibration_accuracy": cloud.accuracy,
            "macs": cloud.macs,
            "bytes": len(repository.read_model(cloud.name)),
        },
        "calibration_inputs": calibration.inputs,
        "shared_bytes": sum(blob.size for blob in shared_blobs(manifest)),
        "guarantees": guarantees(calibration),
    }


def _calibration(repository: Repository, manifest: Manifest) -> Calibration:
    try:
        return Calibration.FromString(repository.read_whole(manifest.calibration))
    except DecodeError as err:
        raise RepositoryError("the calibration cannot be read; release the bundle again") from err


def _capacities(manifest: Manifest) -> list[dict[str, Any]]:
    """List each capacity; `weight_bytes` is of all its rings, the other sizes of its own parts."""
    rings = [entry.ring.size for entry in manifest.capacities]
    return [
        {
            "capacity": number,
            "calibration_accuracy": entry.accuracy,
            "macs": entry.macs,
            "memory_bytes": entry.memory_bytes,
            "weight_bytes": sum(rings[:number]),
            "ring_bytes": entry.ring.size,
            "template_bytes": entry.template.size,
        }
        for number, entry in enumerate(manifest.capacities, start=1)
    ]


def overview_table(told: dict[str, Any]) -> RenderableType:
    """Lay out what `overview` told, for rich's console."""
    shape = " x ".join(map(str, told["input_shape"]))
    cloud = told["cloud"]
    return Group(
        f"{told['bundle_version']}: task {told['task']}, release {told['release']}, "
        f"input {shape}, {len(told['classes'])} classes",
        _table(told),
        f"templates for {' and '.join(told['activations'])} activations; a device takes one kind",
        f"cloud model {cloud['name']}: calibration accuracy {cloud['calibration_accuracy']:.1%}, "
        f"{cloud['macs']:,} MACs, {cloud['bytes']:,} B",
        f"calibration accuracy is on {told['calibration_inputs']:,} calibration inputs, measured "
        "when the bundle was built; a fleet's own inputs may be harder",
        f"calibration and golden inputs: {told['shared_bytes']:,} B on every device",
        *guarantee_lines(told["guarantees"]),
    )


def _table(told: dict[str, Any]) -> Table:
    made = Table(box=box.SIMPLE_HEAD)
    figures = ("weight_bytes", "ring_bytes", "template_bytes", "memory_bytes", "macs")
    sizes = ("weights B", "ring B", "template B", "memory B", "MACs")
    for head in ("capacity", "calibration accuracy", *sizes):
        made.add_column(head, justify="right")
    for one in told["capacities"]:
        made.add_row(
            f"{one['capacity']}",
            f"{one['calibration_accuracy']:.1%}",
            *(f"{one[key]:,}" for key in figures),
        )
    return made
