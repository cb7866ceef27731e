"""Describes a released bundle, as JSON values and as a table."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from google.protobuf.message import DecodeError
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nestling.v1.bundle_pb2 import Calibration, Manifest
from nestling_cloud.bundles.guarantee_text import guarantee_estimates, guarantee_lines
from nestling_cloud.bundles.quick_notice import QUICK_NOTICE
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.bundles.routing_facts import (
    calibration_inputs,
    routing_facts,
    routing_lines,
)
from nestling_cloud.bundles.stored_kind import stored_kind
from nestling_core.kinds.kind import name_of
from nestling_core.nest.bundle_files import activations_in, shared_blobs, teacher_version
from nestling_core.wire.choice import best_form
from nestling_core.wire.forms import WIRE_NAMES

_KEPT = {
    "none": "none",
    "hard": "those sent because they were hard",
    "audited": "those drawn at random for audits",
}


def overview(repository: Repository) -> dict[str, Any]:
    """Return a description of the bundle that devices should run, as JSON values.

    Sizes are in bytes, and costs in multiply-accumulates (MACs) per input. Accuracies, from 0 to 1,
    were measured on the calibration data when the bundle was built.

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
        "quick": manifest.quick,
        "input_shape": list(manifest.signature.shape),
        "kind": name_of(manifest.signature),
        "classes": list(manifest.signature.classes),
        "values": [
            {"name": one.name, "unit": one.unit, "tolerance": one.tolerance}
            for one in manifest.signature.values
        ],
        "keep_inputs": stored_kind(manifest),
        "activations": activations_in(manifest),
        "capacities": _capacities(manifest),
        "cloud": {
            "name": cloud.name,
            "calibration_accuracy": cloud.accuracy,
            "macs": cloud.macs,
            "version": teacher_version(manifest),
            "bytes": len(repository.read_model(cloud)),
        },
        "wire_forms": _wire_forms(manifest),
        "calibration_inputs": calibration_inputs(calibration),
        "held_out_inputs": calibration.inputs,
        "shared_bytes": sum(blob.size for blob in shared_blobs(manifest)),
        "routing": _routing(calibration),
        "guarantee_estimates": guarantee_estimates(calibration),
    }


def _routing(calibration: Calibration) -> dict[str, Any]:
    facts = routing_facts(calibration)
    return {**asdict(facts), "routes": [asdict(route) for route in facts.routes]}


def behavior_lines(repository: Repository) -> list[str]:
    """Return how the latest bundle routes inputs and certifies risks, as lines of text.

    Raises:
        RepositoryError: nothing was released, or the calibration is missing or damaged.
    """
    manifest = repository.manifest()
    calibration = _calibration(repository, manifest)
    accuracies = [entry.accuracy for entry in manifest.capacities]
    return [
        *routing_lines(routing_facts(calibration), accuracies, manifest.cloud.accuracy),
        *guarantee_lines(guarantee_estimates(calibration)),
    ]


def _calibration(repository: Repository, manifest: Manifest) -> Calibration:
    try:
        return Calibration.FromString(repository.read_whole(manifest.calibration))
    except DecodeError as err:
        raise RepositoryError("the calibration cannot be read; release the bundle again") from err


def _capacities(manifest: Manifest) -> list[dict[str, Any]]:
    """Return a description of each capacity as JSON values.

    The sizes of a capacity are:

    - `memory_bytes`: the memory that the capacity takes up while it is loaded.
    - `weight_bytes`: all weights of the capacity.
    - `ring_bytes`: the weights that the capacity adds to the next smaller one.
    - `template_bytes`: the capacity's graph with uint8 activations, without weights.
    """
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


def _wire_forms(manifest: Manifest) -> list[dict[str, Any]]:
    """Return a description of each form in which inputs can be sent to the cloud, as JSON values.

    The figures of a form, on calibration inputs, are the mean size of an input in bytes, the
    accuracy of the cloud's answers, the share of the answers that differ from those to "fp32", and
    how much lower the probability of the true class is.
    `used` says whether devices that have Pillow use the form.
    """
    used = best_form(manifest, WIRE_NAMES).name
    return [
        {
            "name": form.name,
            "payload_bytes": form.payload_bytes,
            "calibration_accuracy": form.accuracy,
            "changed": form.changed,
            "lost": form.lost,
            "used": form.name == used,
        }
        for form in manifest.cloud.wire_forms
    ]


def overview_table(content: dict[str, Any], behavior: Sequence[str]) -> RenderableType:
    """Return a description of a bundle as text and a table for rich's console.

    Args:
        content: the output of `overview`.
        behavior: the output of `behavior_lines`.
    """
    shape = " x ".join(map(str, content["input_shape"]))
    cloud = content["cloud"]
    return Group(
        *([Text(QUICK_NOTICE, style="bold red")] if content["quick"] else []),
        f"{content['bundle_version']}: task {content['task']}, release {content['release']}, "
        f"input {shape}, {len(content['classes'])} classes",
        _table(content),
        f"templates for {' and '.join(content['activations'])} activations; a device downloads one "
        "kind",
        f"cloud model {cloud['name']}: calibration accuracy {cloud['calibration_accuracy']:.1%}, "
        f"{cloud['macs']:,} MACs, {cloud['bytes']:,} B",
        f"calibration accuracy was measured on {_inputs_text(content['calibration_inputs'])} when "
        "the bundle was built; a fleet's own inputs may be harder",
        f"calibration and golden inputs: {content['shared_bytes']:,} B on every device",
        f"of the inputs that devices send, the cloud may store: {_KEPT[content['keep_inputs']]}",
        *behavior,
        *_wire_forms_table(content["wire_forms"]),
    )


def _wire_forms_table(forms: Sequence[dict[str, Any]]) -> list[RenderableType]:
    if not forms:
        return []
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("wire form")
    for head in ("bytes", "cloud's calibration accuracy", "changed answers", "lost probability"):
        table.add_column(head, justify="right")
    table.add_column("")
    for form in forms:
        table.add_row(
            form["name"],
            f"{form['payload_bytes']:,.0f}",
            f"{form['calibration_accuracy']:.2%}",
            f"{form['changed']:.2%}",
            f"{100 * form['lost']:+.3f} points",
            "used" if form["used"] else "",
        )
    return ["inputs that are sent to the cloud can take these forms:", table]


def _inputs_text(count: int) -> str:
    return f"{count:,} calibration inputs" if count else "the calibration inputs"


def _table(content: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    figures = ("weight_bytes", "ring_bytes", "template_bytes", "memory_bytes", "macs")
    sizes = ("weights B", "ring B", "template B", "memory B", "MACs")
    for head in ("capacity", "calibration accuracy", *sizes):
        table.add_column(head, justify="right")
    for entry in content["capacities"]:
        table.add_row(
            f"{entry['capacity']}",
            f"{entry['calibration_accuracy']:.1%}",
            *(f"{entry[key]:,}" for key in figures),
        )
    return table
