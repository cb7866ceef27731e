"""A client asks the real cloud how often it is right on held-out inputs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling_cloud.cloud_model.model import CloudModel
from nestling_core.network.address import Address
from nestling_device.federated.cloud_accuracy import MOST_INPUTS, cloud_accuracy
from nestling_device.federated.examples import LocalExamples
from nestling_device.federated.participant import Node
from tests.support.background import background
from tests.support.inference import inference
from tests.support.wire import manifest_with

Floats = NDArray[np.float32]


@pytest.fixture
def address(tiny_teacher: bytes) -> Iterator[Address]:
    with background(lambda: inference(CloudModel("tiny-teacher", tiny_teacher))) as port:
        yield Address.parse(f"127.0.0.1:{port}")


def node(
    cloud: Address | None, weights: Floats, count: int, *, wrong: int = 0, **changes: Any
) -> Node:
    """Return a client with held-out inputs, some of whose labels are not the teacher's classes."""
    inputs = np.random.default_rng(0).normal(size=(count, 2, 3)).astype(np.float32)
    labels = (inputs.reshape(count, 6) @ weights).argmax(axis=1).astype(np.int64)
    labels[:wrong] = (labels[:wrong] + 1) % 4
    return Node(
        device="device-1",
        bundle_version="tiny-1",
        manifest=manifest_with(**changes),
        capacity=1,
        examples=LocalExamples(
            inputs=inputs[:0],
            labels=labels[:0],
            held_out_inputs=inputs,
            held_out_labels=labels,
        ),
        cloud=cloud,
        identity=None,
    )


@pytest.mark.parametrize("count", [1, 32, 33, 70])
def test_share_of_right_answers_is_returned(
    address: Address, tiny_weights: Floats, count: int
) -> None:
    found = cloud_accuracy(node(address, tiny_weights, count, wrong=1))

    assert found is not None
    assert found[0] == count
    assert found[1] == pytest.approx(1 - 1 / count)


def test_cloud_is_asked_about_a_part_of_many_inputs(address: Address, tiny_weights: Floats) -> None:
    found = cloud_accuracy(node(address, tiny_weights, 1000, wrong=500))

    assert found is not None
    assert found[0] == MOST_INPUTS
    assert found[1] == pytest.approx(0.5, abs=0.01)


def test_nothing_is_asked_without_inputs_or_permission(
    address: Address, tiny_weights: Floats
) -> None:
    assert cloud_accuracy(node(address, tiny_weights, 0)) is None
    assert cloud_accuracy(node(None, tiny_weights, 5)) is None


def test_cloud_that_does_not_answer_is_left_out(
    address: Address, tiny_weights: Floats, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = Address.parse("127.0.0.1:9")

    assert cloud_accuracy(node(nobody, tiny_weights, 5)) is None
    assert cloud_accuracy(node(address, tiny_weights, 5, model="other")) is None
    assert cloud_accuracy(node(address, tiny_weights, 5, classes=3)) is None
    assert caplog.text.count("the cloud was not asked about held-out inputs") == 3
