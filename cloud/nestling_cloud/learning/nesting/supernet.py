"""A convolutional student that runs at any width of any layer, for the width search.

It is a slimmable supernet (AutoSlim, Yu & Huang 2019): each step trains the largest widths on the
teacher, and the smallest and some random widths on the outputs of the largest. All widths share
gains and offsets; their normalization statistics are measured again before accuracy is (US-Nets, Yu
& Huang 2019).
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
    """A student whose `forward(x, widths)` runs any number of the first channels of every layer."""

    channels_last = True  # trains faster

    def __init__(self, signature: Signature, config: StudentConfig) -> None:
        """Build the supernet untrained.

        Args:
            signature: of the task.
            config: the student's blocks; its capacities are ignored.

        Raises:
            NestingError: there is a recurrent block, whose gates have no shared normalization to
                slice, or a shuffle, which allows few widths.
        """
        super().__init__()
        channels, *axes = signature.shape
        plans = plan(signature, StudentConfig(blocks=config.blocks, fractions=(1.0,)))
        layers = [make_layer(layer) for layer in plans]
        if any(isinstance(layer, RecurrentLayer | ShuffleLayer) for layer in layers):
            raise NestingError(
                "widths can only be searched in students of convolutions: set the widths or "
                "fractions of recurrent and shuffled students"
            )
        self._channels = channels  # width of a depthwise layer that comes first
        self.normalizer = Normalizer(channels, len(axes))
        self.layers = nn.ModuleList(layers)
        self.head = nn.Parameter(torch.empty(head_shape(plans[-1], len(signature.classes), 1)))
        nn.init.normal_(self.head, std=plans[-1].channels(1) ** -0.5)
        self.offsets = nn.Parameter(torch.zeros(len(signature.classes)))

    def forward(
        self, x: torch.Tensor, widths: Sequence[int], measured: int | None = None
    ) -> torch.Tensor:
        """Return logits (N, classes) at the given widths.

        Args:
            x: (N, *shape).
            widths: channels of each layer that has its own, in order, each a multiple of the
                layer's groups.
            measured: number of inputs, from the start of `x`, whose statistics normalize all
                inputs; all by default.
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
    """Normalize (N, C, ...) by the first inputs' statistics and the gains shared by all widths."""
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
    """Sum the loss of the largest widths on the teacher and that of smaller ones on the largest.

    Args:
        supernet: trained with this loss.
        batch: inputs, labels and the teacher's logits.
        distillation: temperature and weight of the teacher's logits.
        rows: widths to train, the largest first.
    """
    largest, *smaller = rows
    logits = supernet(batch.inputs, largest)
    loss = answer_loss(logits, batch, distillation)
    losses = [
        soft_divergence(supernet(batch.inputs, widths), logits.detach(), TEMPERATURE)
        for widths in smaller
    ]
    return sum(losses, loss)
