"""Losses that make a student's inner features resemble its teacher's. Pure functions.

The loss on answers is `nestling_core.student.losses.distillation_loss`, because devices need it
too. Features are maps (N, C, axes...) or embeddings (N, F); no gradient flows to the teacher's.
"""

import torch
from torch import nn
from torch.nn import functional

_POOL = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)


class Regressor(nn.Module):
    """A linear layer from a student's channels to its teacher's; it is dropped after training.

    Args:
        inputs: channels of the student.
        outputs: channels of the teacher.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        """Draw the weights from torch's global generator."""
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, ...) to (N, outputs, ...)."""
        regressed: torch.Tensor = self.linear(features.movedim(1, -1))
        return regressed.movedim(-1, 1)


def hint_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error between maps (FitNets, Romero et al. 2015).

    Args:
        student: regressed to the teacher's channels, (N, C, axes...).
        teacher: (N, C, axes...); the sizes of the axes may differ.
    """
    return functional.mse_loss(*_of_one_size(student, teacher.detach()))


def attention_map(features: torch.Tensor) -> torch.Tensor:
    """Return the mean square over channels, (N, C, axes...) -> (N, 1, axes...)."""
    return features.square().mean(1, keepdim=True)


def attention_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the attention transfer loss (Zagoruyko & Komodakis 2017).

    Args:
        student: attention map (N, 1, axes...).
        teacher: attention map (N, 1, axes...); the sizes of the axes may differ.

    Returns:
        Squared distance of the maps scaled to unit length, mean over the batch: 0 to 2.
    """
    maps = _of_one_size(student, teacher.detach())
    own, reference = (functional.normalize(each.flatten(1)) for each in maps)
    return (own - reference).square().sum(1).mean()


def angular_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the angular distillation loss (ShrinkTeaNet, Duong et al. 2019).

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
