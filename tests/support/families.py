"""A small nested student of every family, for windows and for pictures."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_core.student.blocks import Conv, Gru, Lstm
from nestling_core.student.config import (
    StudentConfig,
    conv_student,
    deepsense_student,
    recurrent_student,
    separable_student,
    shuffle_student,
)
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import recalibrate

CAPACITIES = (1, 2, 3)
FRACTIONS = (0.25, 0.5, 1.0)
WINDOW = Signature(shape=[4, 20], classes=["a", "b", "c"])
PICTURE = Signature(shape=[2, 9, 8], classes=["a", "b", "c", "d"])


def _conv() -> StudentConfig:
    return conv_student(channels=(8, 12), strides=(2, 1), fractions=FRACTIONS)


def _separable() -> StudentConfig:
    return separable_student(channels=(8, 12), strides=(1, 2), fractions=FRACTIONS)


def _shuffle() -> StudentConfig:
    return shuffle_student(channels=(16, 32), strides=(1, 2), groups=2, fractions=FRACTIONS)


def _grouped_to_the_head() -> StudentConfig:
    blocks = (Conv(channels=8, groups=2), Conv(channels=16, groups=2))
    return StudentConfig(blocks=blocks, fractions=FRACTIONS)


def _branches_into_a_gru() -> StudentConfig:
    blocks = (Conv(channels=8, groups=2, stride=2), Gru(channels=8))
    return StudentConfig(blocks=blocks, fractions=FRACTIONS)


FAMILIES = {
    "conv-window": (WINDOW, _conv()),
    "conv-picture": (PICTURE, _conv()),
    "separable-window": (WINDOW, _separable()),
    "separable-picture": (PICTURE, _separable()),
    "shuffle-window": (WINDOW, _shuffle()),
    "shuffle-picture": (PICTURE, _shuffle()),
    "grouped-window": (WINDOW, _grouped_to_the_head()),
    "grouped-picture": (PICTURE, _grouped_to_the_head()),
    "deepsense": (
        WINDOW,
        deepsense_student(sensors=2, branch=(4,), fused=(8,), hidden=4, fractions=FRACTIONS),
    ),
    "branches-gru": (WINDOW, _branches_into_a_gru()),
    "gru": (WINDOW, recurrent_student(channels=(8,), strides=(2,), hidden=8, fractions=FRACTIONS)),
    "lstm": (
        WINDOW,
        recurrent_student(channels=(8,), strides=(2,), hidden=8, cell=Lstm, fractions=FRACTIONS),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Family:
    """A student with random weights, and inputs for it."""

    signature: Signature
    student: NestedStudent
    inputs: NDArray[np.float32]

    @property
    def tensor(self) -> torch.Tensor:
        return torch.from_numpy(self.inputs)


def make_family(name: str, seed: int = 0) -> Family:
    """Make a family's student with random weights, gains, offsets and biases.

    Its normalization statistics are measured on the random inputs.
    """
    signature, config = FAMILIES[name]
    torch.manual_seed(seed)
    student = NestedStudent(signature, config)
    rng = np.random.default_rng(seed)
    inputs = rng.normal(3, 5, (100, *signature.shape)).astype(np.float32)
    student.normalizer.fit(inputs)
    with torch.no_grad():
        for name_, parameter in student.named_parameters():
            if "capacities" in name_ or "offsets" in name_:
                parameter.copy_(0.3 * torch.randn_like(parameter))
    recalibrate(student, torch.from_numpy(inputs))
    return Family(signature=signature, student=student, inputs=inputs)
