"""Losses that let a student resemble its teacher inside. All are pure functions of features.

The loss on answers is `nestling_core.student.losses.distillation_loss`, as devices need it too.
Features are maps (N, C, axes...) or embeddings (N, F); of the teacher's no gradient is taken.
"""

import torch
from torch import nn
from torch.nn import functional

_POOL = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)


class Regressor(nn.Module):
    """A linear layer over channels, from a student's to its teacher's; not kept after training.

    Args:
        inputs: channels of the student.
        outputs: channels of the teacher.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        """Draw the weights from torch's global generator."""
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, inputs, ...) -> (N, outputs, ...)."""
        regressed: torch.Tensor = self.linear(features.movedim(1, -1))
        return regressed.movedim(-1, 1)


def hint_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared error between maps (FitNets, Romero et al. 2015).

    Args:
        student: regressed to the teacher's channels, (N, C, axes...).
        teacher: (N, C, axes...), of any size.
    """
    return functional.mse_loss(*_of_one_size(student, teacher.detach()))


def attention_map(features: torch.Tensor) -> torch.Tensor:
    """How much happens where: the channels' mean square, (N, C, axes...) -> (N, 1, axes...)."""
    return features.square().mean(1, keepdim=True)


def attention_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Attention transfer (Zagoruyko & Komodakis 2017).

    Args:
        student: attention map (N, 1, axes...).
        teacher: attention map (N, 1, axes...), of any size.

    Returns:
        Squared distance of the maps at unit length, mean over the batch: 0 to 2, for any size.
    """
    maps = _of_one_size(student, teacher.detach())
    own, wanted = (functional.normalize(each.flatten(1)) for each in maps)
    return (own - wanted).square().sum(1).mean()


def angular_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Angular distillation (ShrinkTeaNet, Duong et al. 2019).

    Args:
        student: embeddings (N, F).
        teacher: embeddings (N, F), of any length.

    Returns:
        1 - cosine of the angle between them, mean over the batch: 0 to 2.
    """
    return (1 - functional.cosine_similarity(student, teacher.detach())).mean()


def _of_one_size(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pool each axis of two maps to the shorter one's length."""
    axes = tuple(min(pair) for pair in zip(left.shape[2:], right.shape[2:], strict=True))
    pool = _POOL[len(axes) - 1](axes)
    return pool(left), pool(right)
