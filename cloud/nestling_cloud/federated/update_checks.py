"""Checks the answers that clients send.

All functions are pure. Each check returns the checked value, or raises UpdateError with the reason.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestling.topics import check_device_id
from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.errors import CloudError
from nestling_cloud.federated.aggregation import Update
from nestling_core.student import messages
from nestling_core.student.config import StudentConfig
from nestling_core.student.weights import WeightsError, check_arrays, trained_shapes

# A client that claims more would dominate the average.
MOST_EXAMPLES = 1_000_000
_NAMELESS = "?"


class UpdateError(CloudError):
    """Raised when a client's answer is rejected; the text is recorded as the reason."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A client that takes part in the rounds, as the client describes itself.

    Attributes:
        node: Flower's number for the client.
        device: the name that the client gives itself, which is not verified.
        capacity: the largest capacity (size of the student) that the client's budget admits.
        examples: the number of examples that the client can train on.
    """

    node: int
    device: str
    capacity: int
    examples: int


@dataclass(frozen=True, kw_only=True)
class HeldOutComparison:
    """A client's comparison of two models on its held-out data.

    Attributes:
        held_out: the number of held-out examples.
        before: the accuracy of the earlier model, from 0 to 1.
        after: the accuracy of the later model, from 0 to 1.
        cloud_asked: the number of held-out examples that the cloud was asked about, which is 0 if
            the client may not ask it.
        cloud: the accuracy of the cloud on them, from 0 to 1.
    """

    held_out: int
    before: float
    after: float
    cloud_asked: int = 0
    cloud: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ClientUpdate:
    """A client's valid answer to a message that asked for training.

    Attributes:
        update: the weights that the client trained.
        comparison: the accuracies of the model before and after the client's training, on the
            client's held-out data.
    """

    update: Update
    comparison: HeldOutComparison


def check_member(
    node: int,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    *,
    capacities: int,
    bundle_version: str,
) -> Member:
    """Check the description that a client gives of itself, and return it.

    Args:
        node: Flower's number for the client.
        config: the configuration record of the client's answer.
        metrics: the metric record of the client's answer.
        capacities: the number of capacities that the student has.
        bundle_version: the version of the bundle that the rounds start from.

    Raises:
        UpdateError: the client runs another bundle, the client's budget admits no capacity, the
            client has fewer than two examples, or a reported value is invalid.
    """
    _check_version(config, bundle_version)
    capacity = _count(metrics, messages.CAPACITY, most=capacities)
    if capacity == 0:
        raise UpdateError("its budget admits no capacity")
    examples = _count(metrics, messages.EXAMPLES, most=MOST_EXAMPLES)
    if examples < 2:
        raise UpdateError(f"its {examples} examples are too few to train on")
    return Member(node=node, device=device_name(config), capacity=capacity, examples=examples)


def check_trained(
    member: Member,
    arrays: Mapping[str, NDArray[np.float32]],
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    *,
    signature: Signature,
    student: StudentConfig,
    server_round: int,
    bundle_version: str,
) -> ClientUpdate:
    """Return the weights and accuracies that a client reports, after checking them.

    Args:
        member: the client.
        arrays: a mapping from names to the trained arrays.
        config: the configuration record of the client's answer.
        metrics: the metric record of the client's answer.
        signature: the signature of the task.
        student: the sizes of the student.
        server_round: the number of the current round.
        bundle_version: the version of the bundle that the rounds start from.

    Raises:
        UpdateError: the answer belongs to another round or bundle, its arrays do not have the names
            and shapes of the client's capacity, or a metric is invalid.
    """
    _check_round(config, server_round)
    _check_version(config, bundle_version)
    examples = _count(metrics, messages.EXAMPLES, most=MOST_EXAMPLES)
    if not 0 < examples <= member.examples:
        raise UpdateError(
            f"it trained on {examples} examples, but had {member.examples} before the round"
        )
    try:
        check_arrays(arrays, trained_shapes(signature, student, member.capacity))
    except WeightsError as err:
        raise UpdateError(str(err)) from err
    update = Update(
        node=member.node, capacity=member.capacity, examples=examples, arrays=dict(arrays)
    )
    return ClientUpdate(update=update, comparison=_comparison(metrics))


def check_comparison(
    config: Mapping[str, Any], metrics: Mapping[str, Any], *, server_round: int, bundle_version: str
) -> HeldOutComparison:
    """Return a client's comparison of two models on its held-out data, after checking it.

    Args:
        config: the configuration record of the client's answer.
        metrics: the metric record of the client's answer.
        server_round: the number of the current round.
        bundle_version: the version of the bundle that the rounds start from.

    Raises:
        UpdateError: the answer belongs to another round or bundle, or a metric is invalid.
    """
    _check_round(config, server_round)
    _check_version(config, bundle_version)
    return _comparison(metrics)


def device_name(config: Mapping[str, Any]) -> str:
    """Return the name that a client gives itself, or "?" if the name is missing or invalid."""
    name = config.get(messages.DEVICE)
    try:
        return check_device_id(name) if isinstance(name, str) else _NAMELESS
    except ValueError:
        return _NAMELESS


def _comparison(metrics: Mapping[str, Any]) -> HeldOutComparison:
    held_out = _count(metrics, messages.HELD_OUT, most=MOST_EXAMPLES)
    asked = messages.CLOUD_ASKED in metrics
    return HeldOutComparison(
        held_out=held_out,
        before=_share(metrics, messages.ACCURACY_BEFORE),
        after=_share(metrics, messages.ACCURACY_AFTER),
        cloud_asked=_count(metrics, messages.CLOUD_ASKED, most=held_out) if asked else 0,
        cloud=_share(metrics, messages.CLOUD_ACCURACY) if asked else 0.0,
    )


def _check_version(config: Mapping[str, Any], wanted: str) -> None:
    found = config.get(messages.BUNDLE_VERSION)
    if found != wanted:
        raise UpdateError(f"it runs bundle {str(found)[:80]!r}, but the rounds start from {wanted}")


def _check_round(config: Mapping[str, Any], wanted: int) -> None:
    found = config.get(messages.ROUND)
    if found != wanted:
        raise UpdateError(f"stale answer of round {str(found)[:20]} in round {wanted}")


def _count(metrics: Mapping[str, Any], name: str, *, most: int) -> int:
    found = metrics.get(name)
    if not isinstance(found, int) or not 0 <= found <= most:
        raise UpdateError(f"{name} {str(found)[:40]} is not a whole number from 0 to {most}")
    return found


def _share(metrics: Mapping[str, Any], name: str) -> float:
    found = metrics.get(name)
    if not isinstance(found, int | float) or not math.isfinite(found) or not 0 <= found <= 1:
        raise UpdateError(f"{name} {str(found)[:40]} is not from 0 to 1")
    return float(found)
