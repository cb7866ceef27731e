"""Defines the Flower ClientApp with which a device takes part in federated rounds.

The configuration of the Flower node describes the device: `id` (the device's name), `state` (its
state folder, which holds the bundle), `data` (the file of its labeled examples), `memory-kb` (the
memory budget for a loaded capacity, in kB of 1000 bytes) and `cloud` (the cloud's address, without
which the cloud is not asked about held-out inputs). Labels never leave the device, and inputs only
for that question: replies carry weights, counts and accuracies.
"""

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from nestling_core.student import messages
from nestling_core.student.network import NestedStudent
from nestling_core.student.weights import (
    Arrays,
    WeightsError,
    arrays_of,
    check_arrays,
    load_prefix,
    prefix_shapes,
    take,
    trained_shapes,
)
from nestling_device.errors import DeviceError
from nestling_device.federated.cloud_accuracy import cloud_accuracy
from nestling_device.federated.participant import ClientError, Node
from nestling_device.federated.training import accuracy, train_prefix

_log = logging.getLogger(__name__)
_LONGEST_REASON = 500

app = ClientApp()


_Handler = Callable[[Message, Context], Message]


def _report_failure(handler: _Handler) -> _Handler:
    """Return a message handler that replies with the reason if `handler` fails.

    The reply also names the device, unlike the traceback that Flower itself would send.
    """

    @functools.wraps(handler)
    def wrapper(message: Message, context: Context) -> Message:
        try:
            return handler(message, context)
        except DeviceError as err:
            reason = str(err)
        except Exception as err:  # noqa: BLE001  whatever torch or a message may raise
            _log.debug("a round's message failed", exc_info=True)
            reason = f"{type(err).__name__}: {err}"
        _log.warning("left out of this round: %s", reason)
        return _failure(message, context, reason)

    return wrapper


@app.query()
@_report_failure
def query(message: Message, context: Context) -> Message:
    """Return a reply with the largest capacity that the device's memory budget admits.

    The reply also has the number of the device's training examples.

    Args:
        message: the server's query.
        context: the context of this node, whose configuration names the device.
    """
    node = Node.of(context.node_config)
    metrics = {messages.CAPACITY: node.capacity, messages.EXAMPLES: len(node.examples.labels)}
    return _reply(message, node, 0, metrics)


@app.train()
@_report_failure
def train(message: Message, context: Context) -> Message:
    """Return a reply with the student's prefix, trained on this device's examples.

    The prefix consists of the weights of the capacity in the message. The reply also has the number
    of training examples, and the accuracy on the device's held-out examples before and after the
    training.

    Args:
        message: the server's message, with the prefix, its capacity, the sizes of the student, the
            recipe and the seed.
        context: the context of this node, whose configuration names the device.
    """
    node, config = Node.of(context.node_config), message.content.config_records[messages.CONFIG]
    number, capacity = _round_and_capacity(node, config)
    student = _student(node, config, capacity, messages.ARRAYS, message)
    before = _accuracy(node, student, capacity)
    # The order of examples differs between rounds and repeats with the seed.
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
        **_accuracies(node, before, _accuracy(node, student, capacity)),
    }
    shapes = trained_shapes(node.manifest.signature, student.config, capacity)
    return _reply(message, node, number, metrics, take(arrays_of(student), shapes))


@app.evaluate()
@_report_failure
def evaluate(message: Message, context: Context) -> Message:
    """Return a reply with two models' accuracies on examples that this device never trains on.

    If the device may ask the cloud, the reply also says how often the cloud is right on them.

    Args:
        message: the server's message, with the weights of both models (the baseline and the one to
            compare with it), their capacity and the sizes of the student.
        context: the context of this node, whose configuration names the device.
    """
    node, config = Node.of(context.node_config), message.content.config_records[messages.CONFIG]
    number, capacity = _round_and_capacity(node, config)
    before, after = (
        _accuracy(node, _student(node, config, capacity, name, message), capacity)
        for name in (messages.BASELINE, messages.ARRAYS)
    )
    return _reply(
        message, node, number, {**_accuracies(node, before, after), **_cloud_accuracy(node)}
    )


def _cloud_accuracy(node: Node) -> dict[str, float]:
    found = cloud_accuracy(node)
    if found is None:
        return {}
    return dict(zip((messages.CLOUD_ASKED, messages.CLOUD_ACCURACY), found, strict=True))


def _round_and_capacity(node: Node, config: Mapping[str, Any]) -> tuple[int, int]:
    """Return the round and the capacity of a message.

    Raise ClientError if the round is for another bundle, or if the budget does not admit the
    capacity.
    """
    wanted = config[messages.BUNDLE_VERSION]
    if wanted != node.bundle_version:
        raise ClientError(f"the round is for {wanted}, and this device runs {node.bundle_version}")
    capacity = int(config[messages.CAPACITY])
    if not 1 <= capacity <= node.capacity:
        raise ClientError(
            f"the cloud requested capacity {capacity}",
            advice=f"the budget admits {node.capacity} at most",
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
        raise ClientError(f"the cloud sent an unusable model: {err}") from err
    student = NestedStudent(signature, sizes)
    load_prefix(student, arrays)
    return student.eval()


def _accuracy(node: Node, student: NestedStudent, capacity: int) -> float:
    examples = node.examples
    return accuracy(student, examples.held_out_inputs, examples.held_out_labels, capacity)


def _accuracies(node: Node, before: float, after: float) -> dict[str, float]:
    return {
        messages.HELD_OUT: len(node.examples.held_out_labels),
        messages.ACCURACY_BEFORE: before,
        messages.ACCURACY_AFTER: after,
    }


def _failure(message: Message, context: Context, reason: str) -> Message:
    failure = ConfigRecord(
        {
            messages.DEVICE: str(context.node_config.get("id", "")),
            messages.FAILURE: reason[:_LONGEST_REASON],
        }
    )
    return Message(RecordDict({messages.CONFIG: failure}), reply_to=message)


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
