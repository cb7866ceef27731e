"""The client's side of a federated round, as a Flower ClientApp.

The node's configuration names the device: `id`, `state` (its state folder, where its bundle is),
`data` (its labelled examples), `memory-kb` (what a resident capacity may hold). Neither windows nor
labels leave the device: its answers carry weights, counts and accuracies.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from nestling.bundle import admitted_capacity
from nestling.student import messages
from nestling.student.network import NestedStudent
from nestling.student.weights import (
    Arrays,
    WeightsError,
    arrays_of,
    check_arrays,
    load_prefix,
    prefix_shapes,
    take,
    trained_shapes,
)
from nestling.v1.bundle_pb2 import Manifest
from nestling_device.delivery.admission import parse_manifest
from nestling_device.delivery.blobs import BlobStore
from nestling_device.errors import DeviceError
from nestling_device.federated.examples import LocalExamples, read_examples
from nestling_device.federated.training import accuracy, train_prefix
from nestling_device.state import State

app = ClientApp()


class ClientError(DeviceError):
    """A node that is not set up, or a message that does not fit this device."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Node:
    """This device: its bundle, its examples, what it can hold."""

    device: str
    bundle_version: str
    manifest: Manifest
    capacity: int
    examples: LocalExamples

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Node":
        """Read what the node's configuration names.

        Raises:
            ClientError: a name is missing, or the device has no bundle yet.
            DeviceError: state folder or examples cannot be read.
        """
        missing = [name for name in ("id", "state", "data", "memory-kb") if name not in config]
        if missing:
            raise ClientError(f"the node's configuration lacks {', '.join(missing)}")
        folder = Path(str(config["state"]))
        if not (folder / "state.db").is_file():
            raise ClientError(
                f"{folder} is no device's state folder; run nestling-device run first"
            )
        with State(folder) as state:
            held = state.active()
        if held is None:
            raise ClientError(f"{folder} has no bundle yet; run nestling-device run first")
        manifest = parse_manifest(BlobStore(folder / "blobs").read(held.manifest))
        signature = manifest.signature
        return cls(
            device=str(config["id"]),
            bundle_version=held.version,
            manifest=manifest,
            capacity=admitted_capacity(manifest, int(float(config["memory-kb"]) * 1000)),
            examples=read_examples(
                Path(str(config["data"])), signature.shape, len(signature.classes)
            ),
        )


@app.query()
def query(message: Message, context: Context) -> Message:
    """Tell what this device can hold, and on how much it can train."""
    node = Node.of(context.node_config)
    metrics = {messages.CAPACITY: node.capacity, messages.EXAMPLES: len(node.examples.labels)}
    return _reply(message, node, 0, metrics)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the prefix that came on this device's examples."""
    node, config = Node.of(context.node_config), message.content.config_records[messages.CONFIG]
    number, capacity = _asked(node, config)
    student = _student(node, config, capacity, messages.ARRAYS, message)
    before = _accuracy(node, student, capacity)
    # Another order in every round, the same for the same seed.
    seed = int(str(config[messages.SEED])) * 1_000_003 + number
    torch.manual_seed(seed)
    train_prefix(
        student,
        node.examples,
        capacity,
        messages.local_recipe(config),
        torch.Generator().manual_seed(seed),
    )
    metrics = {
        messages.EXAMPLES: len(node.examples.labels),
        **_judged(node, before, _accuracy(node, student, capacity)),
    }
    shapes = trained_shapes(node.manifest.signature, student.config, capacity)
    return _reply(message, node, number, metrics, take(arrays_of(student), shapes))


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Compare two models on the examples that this device never trained on."""
    node, config = Node.of(context.node_config), message.content.config_records[messages.CONFIG]
    number, capacity = _asked(node, config)
    before, after = (
        _accuracy(node, _student(node, config, capacity, name, message), capacity)
        for name in (messages.BASELINE, messages.ARRAYS)
    )
    return _reply(message, node, number, _judged(node, before, after))


def _asked(node: Node, config: Mapping[str, Any]) -> tuple[int, int]:
    """Round and capacity of a message for this device."""
    wanted = config[messages.BUNDLE_VERSION]
    if wanted != node.bundle_version:
        raise ClientError(f"the round is of {wanted}, and this device runs {node.bundle_version}")
    capacity = int(config[messages.CAPACITY])
    if not 1 <= capacity <= node.capacity:
        raise ClientError(
            f"capacity {capacity} is asked for; the budget admits {node.capacity} at most"
        )
    return int(config[messages.ROUND]), capacity


def _student(
    node: Node, config: Mapping[str, Any], capacity: int, name: str, message: Message
) -> NestedStudent:
    signature = node.manifest.signature
    sizes = messages.student_config(config)
    record = message.content.array_records[name]
    arrays: Arrays = {key: array.numpy() for key, array in record.items()}
    try:
        check_arrays(arrays, prefix_shapes(signature, sizes, capacity))
    except WeightsError as err:
        raise ClientError(f"the cloud's model: {err}") from err
    student = NestedStudent(signature, sizes)
    load_prefix(student, arrays)
    return student.eval()


def _accuracy(node: Node, student: NestedStudent, capacity: int) -> float:
    examples = node.examples
    return accuracy(student, examples.held_out_inputs, examples.held_out_labels, capacity)


def _judged(node: Node, before: float, after: float) -> dict[str, float]:
    return {
        messages.HELD_OUT: len(node.examples.held_out_labels),
        messages.ACCURACY_BEFORE: before,
        messages.ACCURACY_AFTER: after,
    }


def _reply(
    message: Message,
    node: Node,
    number: int,
    metrics: Mapping[str, float],
    arrays: Arrays | None = None,
) -> Message:
    content = RecordDict(
        {
            messages.CONFIG: ConfigRecord(
                {
                    messages.DEVICE: node.device,
                    messages.BUNDLE_VERSION: node.bundle_version,
                    messages.ROUND: number,
                }
            ),
            messages.METRICS: MetricRecord(dict(metrics)),
        }
    )
    if arrays is not None:
        content[messages.ARRAYS] = ArrayRecord(
            {name: Array(array) for name, array in arrays.items()}
        )
    return Message(content, reply_to=message)
