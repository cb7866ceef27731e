"""A student of convolutions that runs at any width of any layer: what a width search asks.

Slimmable supernet (AutoSlim, Yu & Huang 2019): each step trains the largest widths on the teacher,
the smallest and some random ones on what the largest says. Widths share gains and offsets; their
statistics are measured again wherever accuracy is (US-Nets, Yu & Huang 2019).
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.learning.distillation.augmented_views import Batch
from nestling_cloud.learning.distillation.objective import answer_loss
from nestling_cloud.learning.nesting.width_cost import Widths
from nestling_cloud.recipes.distillation import Distillation
from nestling_cloud.recipes.nesting import NestingError
from nestling_core.student.blocks import Conv
from nestling_core.student.config import StudentConfig
from nestling_core.student.layers import ConvLayer, RecurrentLayer, ShuffleLayer, make_layer
from nestling_core.student.losses import soft_divergence
from nestling_core.student.normalization import EPSILON
from nestling_core.student.normalizer import Normalizer
from nestling_core.student.plan import head_shape, plan
from nestling_core.student.sandwich import TEMPERATURE


class Supernet(nn.Module):
    """`forward(x, widths)` runs the first channels of every layer, in any number."""

    channels_last = True  # so it is trained faster

    def __init__(self, signature: Signature, config: StudentConfig) -> None:
        """Build it untrained.

        Args:
            signature: of the task.
            config: the student's blocks; its capacities are not looked at.

        Raises:
            NestingError: a recurrent block, whose gates have no shared normalisation to slice, or a
                shuffle, which allows few widths.
        """
        super().__init__()
        channels, *axes = signature.shape
        plans = plan(signature, StudentConfig(blocks=config.blocks, fractions=(1.0,)))
        layers = [make_layer(layer) for layer in plans]
        if any(isinstance(layer, RecurrentLayer | ShuffleLayer) for layer in layers):
            raise NestingError(
                "widths are searched for in convolutions only: give recurrent and shuffled "
                "students their widths or fractions"
            )
        self._channels = channels  # all of them, for a depthwise layer that comes first
        self.normalizer = Normalizer(channels, len(axes))
        self.layers = nn.ModuleList(layers)
        self.head = nn.Parameter(torch.empty(head_shape(plans[-1], len(signature.classes), 1)))
        nn.init.normal_(self.head, std=plans[-1].channels(1) ** -0.5)
        self.offsets = nn.Parameter(torch.zeros(len(signature.classes)))

    def forward(
        self, x: torch.Tensor, widths: Sequence[int], measured: int | None = None
    ) -> torch.Tensor:
        """Logits (N, classes) at the given channels of the layers that have any of their own.

        Args:
            x: (N, *shape).
            widths: in order, each a multiple of its layer's groups.
            measured: inputs, the first of `x`, whose statistics normalise all; by default all.
        """
        x = self.normalizer(x)
        chosen = iter(widths)
        places = self._channels
        for layer in self.layers:
            assert isinstance(layer, ConvLayer)
            if isinstance(layer.plan.block, Conv):
                places = next(chosen) // layer.plan.groups
            convolved = layer.convolve(x, places, layer.weight)
            x = functional.relu(_normalized(convolved, layer, places, measured))
        head = self.head[:, :places]
        if head.ndim > 2:
            head = head.transpose(1, 2).flatten(1)
        return x.flatten(2).mean(2) @ head.T + self.offsets


def _normalized(
    x: torch.Tensor, layer: ConvLayer, places: int, measured: int | None
) -> torch.Tensor:
    """Normalise (N, C, ...) by its first inputs' statistics, with the gains of all widths."""
    groups, own = layer.plan.groups, layer.norm(1)
    gain, offset = (
        whole.reshape(groups, -1)[:, :places].flatten()
        for whole in (own.log_gain.exp(), own.offset)
    )
    if measured is None:
        return functional.batch_norm(x, None, None, gain, offset, training=True, eps=EPSILON)
    variance, mean = torch.var_mean(x[:measured], (0, *range(2, x.ndim)))
    return functional.batch_norm(x, mean, variance, gain, offset, eps=EPSILON)


def supernet_loss(
    supernet: Supernet,
    batch: Batch,
    distillation: Distillation,
    rows: Sequence[Widths],
) -> torch.Tensor:
    """Loss of the largest widths on the teacher, of smaller ones on the largest.

    Args:
        supernet: what learns.
        batch: what it learns from.
        distillation: how.
        rows: widths, the largest first.
    """
    largest, *smaller = rows
    logits = supernet(batch.inputs, largest)
    loss = answer_loss(logits, batch, distillation)
    losses = [
        soft_divergence(supernet(batch.inputs, widths), logits.detach(), TEMPERATURE)
        for widths in smaller
    ]
    return sum(losses, loss)
