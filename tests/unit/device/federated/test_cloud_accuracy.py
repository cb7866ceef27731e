"""A client asks the real cloud how often it is right on held-out inputs."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling_cloud.cloud_model.model import CloudModel
from nestling_core.network.address import Address
from nestling_device.federated.cloud_accuracy import MOST_INPUTS, cloud_accuracy
from tests.support.background import background
from tests.support.inference import inference
from tests.support.wire import manifest_with

Floats = NDArray[np.float32]
MANIFEST = manifest_with()


@pytest.fixture
def address(tiny_teacher: bytes) -> Iterator[Address]:
    with background(lambda: inference(CloudModel("tiny-teacher", tiny_teacher))) as port:
        yield Address.parse(f"127.0.0.1:{port}")


def drawn(count: int, weights: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return inputs, and the classes that the tiny teacher gives them."""
    inputs = np.random.default_rng(0).normal(size=(count, 2, 3)).astype(np.float32)
    return inputs, (inputs.reshape(count, 6) @ weights).argmax(axis=1).astype(np.int64)


@pytest.mark.parametrize("count", [1, 32, 33, 70])
def test_share_of_right_answers_is_returned(
    address: Address, tiny_weights: Floats, count: int
) -> None:
    inputs, labels = drawn(count, tiny_weights)
    labels[0] = (labels[0] + 1) % 4

    found = cloud_accuracy(address, None, MANIFEST, inputs, labels)

    assert found is not None
    assert found[0] == count
    assert found[1] == pytest.approx(1 - 1 / count)


def test_cloud_is_asked_about_a_part_of_many_inputs(address: Address, tiny_weights: Floats) -> None:
    inputs, labels = drawn(1000, tiny_weights)
    labels[500:] = (labels[500:] + 1) % 4

    found = cloud_accuracy(address, None, MANIFEST, inputs, labels)

    assert found is not None
    assert found[0] == MOST_INPUTS
    assert found[1] == pytest.approx(0.5, abs=0.01)


def test_without_inputs_nothing_is_asked(address: Address, tiny_weights: Floats) -> None:
    assert cloud_accuracy(address, None, MANIFEST, *drawn(0, tiny_weights)) is None


def test_cloud_that_does_not_answer_is_left_out(
    address: Address, tiny_weights: Floats, caplog: pytest.LogCaptureFixture
) -> None:
    inputs, labels = drawn(5, tiny_weights)
    nobody = Address.parse("127.0.0.1:9")

    assert cloud_accuracy(nobody, None, MANIFEST, inputs, labels) is None
    assert cloud_accuracy(address, None, manifest_with(model="other"), inputs, labels) is None
    assert cloud_accuracy(address, None, manifest_with(classes=3), inputs, labels) is None
    assert caplog.text.count("the cloud was not asked about held-out inputs") == 3
