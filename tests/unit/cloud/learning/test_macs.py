import math

import pytest
import torch
from torch import nn

from nestling_cloud.learning.macs import activation_counts, network_macs, student_macs
from nestling_cloud.tasks import Signature
from nestling_core.student.config import conv_student
from nestling_core.student.network import NestedStudent

WINDOW = Signature(shape=[2, 15], classes=["a", "b", "c"])
PICTURE = Signature(shape=[1, 9, 12], classes=["a", "b"])
CONFIG = conv_student(channels=(6, 8), strides=(2, 3), kernel=5, fractions=(0.5, 1.0))


def test_convolutions_and_linear_layers_match_a_count_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv1d(2, 4, 3, padding=1),  # 4 * 10 outputs of 2 * 3 products
        nn.BatchNorm1d(4),
        nn.Flatten(),
        nn.Linear(40, 5),  # 5 outputs of 40 products
    )

    assert network_macs(network, [2, 10]) == 4 * 10 * 2 * 3 + 5 * 40


def test_grouped_convolution_counts_only_its_own_group() -> None:
    assert network_macs(nn.Conv1d(4, 4, 3, padding=1, groups=4), [4, 10]) == 4 * 10 * 3


def test_network_of_two_inputs_is_counted_on_both() -> None:
    bilinear = _Sum()

    assert network_macs(bilinear, [3], [5]) == 2 * 3 + 2 * 5


class _Sum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 2), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = self.left(x) + self.right(y)
        return total


def test_counting_leaves_no_hook_behind() -> None:
    network = nn.Linear(3, 2)

    network_macs(network, [3])

    assert not network._forward_hooks


@pytest.mark.parametrize("signature", [WINDOW, PICTURE], ids=["window", "picture"])
@pytest.mark.parametrize("capacity", [1, 2])
@torch.no_grad()
def test_activation_counts_match_the_student_outputs(signature: Signature, capacity: int) -> None:
    student = NestedStudent(signature, CONFIG).eval()

    *outputs, _ = student.features(torch.zeros(1, *signature.shape), capacity)

    expected = [math.prod(signature.shape), *(output.numel() for output in outputs)]
    assert expected == activation_counts(signature, CONFIG, capacity)


@pytest.mark.parametrize("signature", [WINDOW, PICTURE], ids=["window", "picture"])
@pytest.mark.parametrize("capacity", [1, 2])
def test_student_macs_match_the_same_network_of_plain_layers(
    signature: Signature, capacity: int
) -> None:
    dims = len(signature.shape) - 1
    first, second = CONFIG.widths_at(capacity)
    conv = nn.Conv1d if dims == 1 else nn.Conv2d
    pool = nn.AdaptiveAvgPool1d(1) if dims == 1 else nn.AdaptiveAvgPool2d(1)
    plain = nn.Sequential(
        conv(signature.shape[0], first, 5, 2, 2),
        conv(first, second, 5, 3, 2),
        pool,
        nn.Flatten(),
        nn.Linear(second, len(signature.classes)),
    )

    assert network_macs(plain, signature.shape) == student_macs(signature, CONFIG, capacity)
