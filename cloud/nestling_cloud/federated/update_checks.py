"""Whether to believe what a client says. Pure: values in, a sound value or the reason out."""

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

# A client that claims more than this wants its word to count for everybody's.
MOST_EXAMPLES = 1_000_000
_NAMELESS = "?"


class UpdateError(CloudError):
    """A client's answer that is left out; the text is the reason that is recorded."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A client that takes part, as it described itself.

    Attributes:
        node: Flower's number for it.
        device: its name; nobody has checked it.
        capacity: the largest that its budget admits.
        examples: that it could train on.
    """

    node: int
    device: str
    capacity: int
    examples: int


@dataclass(frozen=True, kw_only=True)
class HeldOutComparison:
    """Two models on a client's held-out data: the accuracies, and on how many examples."""

    held_out: int
    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class ClientUpdate:
    """A sound answer to a train message."""

    update: Update
    judged: HeldOutComparison


def check_member(
    node: int,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    *,
    capacities: int,
    bundle_version: str,
) -> Member:
    """Believe what a client says of itself.

    Raises:
        UpdateError: it runs another bundle, or what it says cannot be.
    """
    _check_version(config, bundle_version)
    capacity = _count(metrics, messages.CAPACITY, most=capacities)
    if capacity == 0:
        raise UpdateError("its budget admits no capacity")
    examples = _count(metrics, messages.EXAMPLES, most=MOST_EXAMPLES)
    if examples < 2:
        raise UpdateError(f"{examples} examples are too few to learn from")
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
    """Believe what a client trained.

    Raises:
        UpdateError: stale, of another bundle, or with arrays or numbers that cannot be.
    """
    _check_round(config, server_round)
    _check_version(config, bundle_version)
    examples = _count(metrics, messages.EXAMPLES, most=MOST_EXAMPLES)
    if not 0 < examples <= member.examples:
        raise UpdateError(f"{examples} examples, and {member.examples} when it was asked")
    try:
        check_arrays(arrays, trained_shapes(signature, student, member.capacity))
    except WeightsError as err:
        raise UpdateError(str(err)) from err
    update = Update(
        node=member.node, capacity=member.capacity, examples=examples, arrays=dict(arrays)
    )
    return ClientUpdate(update=update, judged=_judged(metrics))


def check_judged(
    config: Mapping[str, Any], metrics: Mapping[str, Any], *, server_round: int, bundle_version: str
) -> HeldOutComparison:
    """Believe what a client found on its held-out data.

    Raises:
        UpdateError: stale, of another bundle, or no accuracy.
    """
    _check_round(config, server_round)
    _check_version(config, bundle_version)
    return _judged(metrics)


def device_name(config: Mapping[str, Any]) -> str:
    """A client's name for itself, if it is one that can be shown."""
    name = config.get(messages.DEVICE)
    try:
        return check_device_id(name) if isinstance(name, str) else _NAMELESS
    except ValueError:
        return _NAMELESS


def _judged(metrics: Mapping[str, Any]) -> HeldOutComparison:
    return HeldOutComparison(
        held_out=_count(metrics, messages.HELD_OUT, most=MOST_EXAMPLES),
        before=_share(metrics, messages.ACCURACY_BEFORE),
        after=_share(metrics, messages.ACCURACY_AFTER),
    )


def _check_version(config: Mapping[str, Any], wanted: str) -> None:
    found = config.get(messages.BUNDLE_VERSION)
    if found != wanted:
        raise UpdateError(f"bundle {str(found)[:80]!r}, and the round is of {wanted}")


def _check_round(config: Mapping[str, Any], wanted: int) -> None:
    found = config.get(messages.ROUND)
    if found != wanted:
        raise UpdateError(f"stale: of round {str(found)[:20]}, and this is round {wanted}")


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
