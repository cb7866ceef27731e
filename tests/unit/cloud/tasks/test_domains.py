import hashlib

import numpy as np
import pytest

from nestling_cloud.tasks import Examples, concatenate
from nestling_cloud.tasks.domains import Domains
from nestling_cloud.tasks.inputs import Inputs
from nestling_cloud.tasks.wearable import TASK, load_sides


@pytest.fixture(scope="module")
def domains() -> Domains:
    return load_sides(None, 0)


def digests(inputs: Inputs) -> set[bytes]:
    return {hashlib.sha256(window.tobytes()).digest() for window in inputs}


def test_sides_of_the_training_subjects_are_source_and_target(domains: Domains) -> None:
    train = digests(TASK.load(None, 0).train.inputs)

    source, target = digests(domains.source.inputs), digests(domains.target.inputs)

    assert source | target == train
    assert not source & target


def test_calibration_and_test_are_one_side_of_other_subjects(domains: Domains) -> None:
    splits = TASK.load(None, 0)
    both = digests(splits.calibration.inputs), digests(concatenate(splits.test).inputs)

    one_side = digests(domains.calibration.inputs), digests(domains.test.inputs)

    for side, wrists in zip(one_side, both, strict=True):
        assert side < wrists
        assert 0.3 < len(side) / len(wrists) < 0.7


def test_gravity_along_the_arm_is_reversed_in_all_but_the_source(domains: Domains) -> None:
    def along(examples: Examples) -> float:
        return float(examples.inputs[:, 0].mean())

    assert along(domains.source) < -0.2
    assert min(along(part) for part in (domains.target, domains.calibration, domains.test)) > 0.2


def test_every_exercise_is_in_both_domains(domains: Domains) -> None:
    for part in (domains.source, domains.target, domains.calibration, domains.test):
        assert set(part.labels.tolist()) == set(range(len(TASK.signature.classes)))


def test_seed_assigns_the_subjects(domains: Domains) -> None:
    again, other = load_sides(None, 0), load_sides(None, 1)

    assert np.array_equal(domains.test.inputs, again.test.inputs)
    assert digests(domains.test.inputs) != digests(other.test.inputs)
