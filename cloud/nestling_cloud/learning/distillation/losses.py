"""Computes losses that make a student's inner features resemble the teacher's.

Features are maps (N, C, axes...) or embeddings (N, F). No gradient flows to the teacher's features.
The loss on answers is in `nestling_core.student.losses`, because devices use it too.
"""

import torch
from torch import nn
from torch.nn import functional

_POOL = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)


class Regressor(nn.Module):
    """A linear layer that maps a student's features to the teacher's number of channels.

    It is needed only during training.

    Args:
        inputs: the number of channels of the student.
        outputs: the number of channels of the teacher.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        """Draw the initial weights from torch's global random generator."""
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features (N, outputs, ...) for features (N, inputs, ...)."""
        regressed: torch.Tensor = self.linear(features.movedim(1, -1))
        return regressed.movedim(-1, 1)


def hint_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error between two maps (FitNets, Romero et al. 2015).

    If an axis has different lengths in the two maps, both are first average-pooled to the shorter
    length.

    Args:
        student: the student's maps with the teacher's number of channels, (N, C, axes...).
        teacher: the teacher's maps, (N, C, axes...), whose axes may have other lengths.
    """
    return functional.mse_loss(*_of_one_size(student, teacher.detach()))


def attention_map(features: torch.Tensor) -> torch.Tensor:
    """Return the attention maps (N, 1, axes...) of feature maps (N, C, axes...).

    An attention map is the mean of the squares over all channels.
    """
    return features.square().mean(1, keepdim=True)


def attention_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the attention transfer loss (Zagoruyko & Komodakis 2017).

    If an axis has different lengths in the two maps, both are first average-pooled to the shorter
    length.

    Args:
        student: the student's attention maps, (N, 1, axes...).
        teacher: the teacher's attention maps, (N, 1, axes...), whose axes may have other lengths.

    Returns:
        The squared distance between the two maps, averaged over the batch, from 0 to 2. Each map is
        first scaled to a norm of 1.
    """
    maps = _of_one_size(student, teacher.detach())
    own, reference = (functional.normalize(each.flatten(1)) for each in maps)
    return (own - reference).square().sum(1).mean()


def angular_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the angular distillation loss (ShrinkTeaNet, Duong et al. 2019).

    Args:
        student: the student's embeddings of any norm, (N, F).
        teacher: the teacher's embeddings of any norm, (N, F).

    Returns:
        The mean over the batch of 1 - cos(angle between the two embeddings), from 0 to 2.
    """
    return (1 - functional.cosine_similarity(student, teacher.detach())).mean()


def _of_one_size(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both maps, with each axis after the channels pooled to the shorter length."""
    axes = tuple(min(pair) for pair in zip(left.shape[2:], right.shape[2:], strict=True))
    pool = _POOL[len(axes) - 1](axes)
    return pool(left), pool(right)
