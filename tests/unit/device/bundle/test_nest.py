from pathlib import Path

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import GoldenInputs
from nestling_core.nest.capacity import golden_inputs
from nestling_device.bundle.nest import Nest
from nestling_device.delivery.bundle_source import DeliveryError
from tests.support.hand_bundle import CAPACITIES, SHAPE, hand_bundle, load_hand_bundle


@pytest.fixture
def nest(tmp_path: Path) -> Nest:
    return load_hand_bundle(tmp_path).nest


def test_every_capacity_reproduces_the_golden_logits(nest: Nest) -> None:
    manifest, blobs = hand_bundle()
    golden = GoldenInputs.FromString(blobs[manifest.golden.sha256])
    inputs = golden_inputs(manifest, golden)

    for capacity in (1, 3, 2, 1):  # up and down
        nest.load(capacity)

        expected = np.frombuffer(golden.logits[capacity - 1], "<f4").reshape(len(inputs), -1)
        np.testing.assert_allclose(nest.run(inputs).logits, expected, atol=1e-4)
        assert nest.resident == capacity


def test_capacities_differ(nest: Nest) -> None:
    inputs = np.ones((1, *SHAPE), np.float32)
    answers = []
    for capacity in range(1, CAPACITIES + 1):
        nest.load(capacity)
        answers.append(nest.run(inputs).logits.tobytes())

    assert len(set(answers)) == CAPACITIES


def test_nothing_is_resident_before_the_first_load(nest: Nest) -> None:
    assert nest.resident == 0
    with pytest.raises(RuntimeError, match="no such capacity"):
        nest.run(np.zeros((1, *SHAPE), np.float32))


def test_missing_ring_leaves_nothing_resident_and_smaller_capacities_usable(
    nest: Nest, tmp_path: Path
) -> None:
    manifest, _ = hand_bundle()
    nest.load(1)
    (tmp_path / manifest.capacities[1].ring.sha256).unlink()

    with pytest.raises(DeliveryError, match="install the bundle again"):
        nest.load(2)
    assert nest.resident == 0

    nest.load(1)
    assert nest.run(np.zeros((2, *SHAPE), np.float32)).logits.shape == (2, 4)


def test_resident_capacity_is_not_read_again(nest: Nest, tmp_path: Path) -> None:
    manifest, _ = hand_bundle()
    nest.load(1)
    (tmp_path / manifest.capacities[0].ring.sha256).unlink()

    nest.load(1)

    assert nest.resident == 1


def test_a_smaller_capacity_can_be_kept_beside_the_resident_one(nest: Nest) -> None:
    inputs = np.ones((1, *SHAPE), np.float32)
    nest.load(1)
    alone = nest.run(inputs).logits

    nest.load(3, start=1)

    assert (nest.start, nest.resident) == (1, 3)
    assert np.array_equal(nest.run(inputs, 1).logits, alone)
    assert np.array_equal(nest.run(inputs).logits, nest.run(inputs, 3).logits)
    assert not np.array_equal(nest.run(inputs).logits, alone)
    with pytest.raises(RuntimeError, match="no such capacity"):
        nest.run(inputs, 2)


def test_a_smaller_capacity_is_released_when_it_is_not_asked_for(nest: Nest) -> None:
    nest.load(3, start=1)

    nest.load(2)

    assert (nest.start, nest.resident) == (2, 2)


def test_capacity_that_stays_resident_is_not_read_again(nest: Nest, tmp_path: Path) -> None:
    manifest, _ = hand_bundle()
    nest.load(3, start=1)
    for entry in manifest.capacities[:1] + manifest.capacities[2:]:
        (tmp_path / entry.template.sha256).unlink()

    nest.load(3, start=1)

    assert (nest.start, nest.resident) == (1, 3)
