"""Accept valid answers of clients and reject impossible ones."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.federated.update_checks import (
    ClientUpdate,
    Member,
    UpdateError,
    check_comparison,
    check_member,
    check_trained,
)
from nestling_core.student import messages
from nestling_core.student.config import conv_student
from nestling_core.student.weights import trained_shapes

SIGNATURE = Signature(shape=[2, 16], classes=["a", "b", "c"])
STUDENT = conv_student(channels=(6, 8), strides=(2, 1), fractions=(0.5, 1.0))
VERSION = "tiny-3-0123abcd"
MEMBER = Member(node=7, device="porch", capacity=1, examples=50)
CONFIG = {"bundle-version": VERSION, "round": 4, "device": "porch"}
METRICS = {"examples": 50, "held-out": 10, "accuracy-before": 0.5, "accuracy-after": 0.75}
SELF = {"capacity": 2, "examples": 50}


def arrays() -> dict[str, NDArray[np.float32]]:
    shapes = trained_shapes(SIGNATURE, STUDENT, 1)
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}


def trained(
    weights: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
) -> ClientUpdate:
    return check_trained(
        MEMBER,
        arrays() if weights is None else weights,
        {**CONFIG, **(config or {})},
        {**METRICS, **(metrics or {})},
        signature=SIGNATURE,
        student=STUDENT,
        server_round=4,
        bundle_version=VERSION,
    )


def test_valid_update_is_accepted() -> None:
    accepted = trained()

    assert (accepted.update.node, accepted.update.capacity, accepted.update.examples) == (7, 1, 50)
    assert accepted.update.arrays.keys() == arrays().keys()
    assert (
        accepted.comparison.held_out,
        accepted.comparison.before,
        accepted.comparison.after,
    ) == (
        10,
        0.5,
        0.75,
    )


HEAD = np.ones((3, 4), np.float32)
LIES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({"weights": {}}, "wrong names"),
    "integers": ({"weights": {**arrays(), "head": HEAD.astype(np.int64)}}, "head is int64"),
    "not a number": ({"weights": {**arrays(), "head": HEAD * np.nan}}, "not finite"),
    "infinite": ({"weights": {**arrays(), "head": HEAD * np.inf}}, "not finite"),
    "wider": ({"weights": {**arrays(), "head": np.ones((3, 8), np.float32)}}, "head has shape"),
    "another name": ({"weights": {**arrays(), "tail": HEAD}}, "wrong names: tail"),
    "stale": ({"config": {"round": 3}}, "stale answer of round 3 in round 4"),
    "no round": ({"config": {"round": None}}, "stale answer of round None"),
    "other bundle": (
        {"config": {"bundle-version": "tiny-2-0"}},
        "'tiny-2-0', but the rounds start from",
    ),
    "no examples": ({"metrics": {"examples": 0}}, "0 examples, but had 50 before the round"),
    "more examples": ({"metrics": {"examples": 51}}, "51 examples, but had 50 before the round"),
    "absurd examples": ({"metrics": {"examples": 10**12}}, "is not a whole number"),
    "half an example": ({"metrics": {"examples": 0.5}}, "is not a whole number"),
    "negative": ({"metrics": {"examples": -5}}, "is not a whole number"),
    "accuracy": ({"metrics": {"accuracy-after": 1.5}}, "accuracy-after 1.5 is not from 0 to 1"),
    "no accuracy": ({"metrics": {"accuracy-after": float("nan")}}, "nan is not from 0 to 1"),
    "a list": ({"metrics": {"held-out": [1, 2]}}, "is not a whole number"),
}


@pytest.mark.parametrize("lie", LIES)
def test_invalid_update_is_rejected(lie: str) -> None:
    changes, words = LIES[lie]

    with pytest.raises(UpdateError, match=words):
        trained(**changes)


def member(config: dict[str, Any] | None = None, metrics: dict[str, Any] | None = None) -> Member:
    return check_member(
        7,
        {**CONFIG, **(config or {})},
        {**SELF, **(metrics or {})},
        capacities=2,
        bundle_version=VERSION,
    )


def test_valid_self_description_gives_a_member() -> None:
    assert member() == Member(node=7, device="porch", capacity=2, examples=50)


@pytest.mark.parametrize(
    ("config", "metrics", "words"),
    [
        ({"bundle-version": "tiny-2-0"}, {}, "'tiny-2-0', but the rounds start from"),
        ({}, {"capacity": 0}, "its budget admits no capacity"),
        ({}, {"capacity": 3}, "capacity 3 is not a whole number from 0 to 2"),
        ({}, {"examples": 1}, "1 examples are too few"),
        ({}, {"examples": None}, "is not a whole number"),
    ],
)
def test_client_that_cannot_take_part_is_rejected(
    config: dict[str, Any], metrics: dict[str, Any], words: str
) -> None:
    with pytest.raises(UpdateError, match=words):
        member(config, metrics)


@pytest.mark.parametrize("name", ["", "<script>", 5, None, "x" * 100])
def test_invalid_device_name_becomes_a_question_mark(name: object) -> None:
    assert member({"device": name}).device == "?"


def test_stale_comparison_is_rejected() -> None:
    with pytest.raises(UpdateError, match="stale"):
        check_comparison(CONFIG, METRICS, server_round=5, bundle_version=VERSION)


def test_comparison_has_the_clouds_accuracy_if_the_client_asked_it() -> None:
    asked = {**METRICS, messages.CLOUD_ASKED: 3, messages.CLOUD_ACCURACY: 0.25}

    alone = check_comparison(CONFIG, METRICS, server_round=4, bundle_version=VERSION)
    found = check_comparison(CONFIG, asked, server_round=4, bundle_version=VERSION)

    assert (alone.cloud_asked, alone.cloud) == (0, 0)
    assert (found.cloud_asked, found.cloud) == (3, 0.25)


@pytest.mark.parametrize(
    "lie",
    [
        {messages.CLOUD_ASKED: 10**7},
        {messages.CLOUD_ASKED: -1},
        {messages.CLOUD_ASKED: 2.5},
        {messages.CLOUD_ACCURACY: 1.5},
        {messages.CLOUD_ACCURACY: float("nan")},
        {messages.CLOUD_ACCURACY: None},
    ],
)
def test_impossible_accuracy_of_the_cloud_is_rejected(lie: dict[str, object]) -> None:
    asked = {**METRICS, messages.CLOUD_ASKED: 3, messages.CLOUD_ACCURACY: 0.25, **lie}

    with pytest.raises(UpdateError, match="cloud-"):
        check_comparison(CONFIG, asked, server_round=4, bundle_version=VERSION)
