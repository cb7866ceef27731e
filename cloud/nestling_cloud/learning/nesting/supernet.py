"""Defines the supernet, a convolutional student whose layers run at any widths.

The width search uses the supernet to estimate the accuracy at given widths. As in AutoSlim (Yu &
Huang 2019), each training step trains the largest widths on the labels and the teacher's answers,
and smaller widths on the outputs of the largest widths. All widths share the gains and offsets of
the normalizations. Before the accuracy at some widths is measured, the normalization statistics at
these widths are measured again (US-Nets, Yu & Huang 2019).
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.learning.distillation.augmented_views import Batch
from nestling_cloud.learning.distillation.objective import answer_loss
from nestling_cloud.learning.kind_losses import imitation_loss
from nestling_cloud.learning.nesting.width_cost import Widths
from nestling_cloud.recipes.distillation import Distillation
from nestling_cloud.recipes.nesting import NestingError
from nestling_core.kinds.of_signature import kind_of
from nestling_core.student.blocks import Conv
from nestling_core.student.config import StudentConfig
from nestling_core.student.layers import ConvLayer, RecurrentLayer, ShuffleLayer, make_layer
from nestling_core.student.normalization import EPSILON
from nestling_core.student.normalizer import Normalizer
from nestling_core.student.plan import head_shape, plan
from nestling_core.student.sandwich import TEMPERATURE


class Supernet(nn.Module):
    """A student in which each layer can run with any number of its first channels."""

    channels_last = True  # trains faster

    def __init__(self, signature: Signature, config: StudentConfig) -> None:
        """Build an untrained supernet.

        Args:
            signature: the shape and classes of the task.
            config: the student's sizes, of which only the blocks and the front end are used.

        Raises:
            NestingError: the student has a recurrent block, whose gates have no shared
                normalization to slice, or a shuffle block, which allows only few widths.
        """
        super().__init__()
        channels, *axes = config.read_shape(signature.shape)
        plans = plan(signature, replace(config, fractions=(1.0,), widths=()))
        layers = [make_layer(layer) for layer in plans]
        if any(isinstance(layer, RecurrentLayer | ShuffleLayer) for layer in layers):
            raise NestingError(
                "widths can only be searched in students of convolutions: set the widths or "
                "fractions of recurrent and shuffled students"
            )
        self._channels = channels  # width of a depthwise layer that comes first
        self.normalizer = Normalizer(channels, len(axes), config.front_end)
        self.layers = nn.ModuleList(layers)
        outputs = kind_of(signature).student_outputs
        self.head = nn.Parameter(torch.empty(head_shape(plans[-1], outputs, 1)))
        nn.init.normal_(self.head, std=plans[-1].channels(1) ** -0.5)
        self.offsets = nn.Parameter(torch.zeros(outputs))

    def forward(
        self, x: torch.Tensor, widths: Sequence[int], measured: int | None = None
    ) -> torch.Tensor:
        """Return the logits (N, classes) that the supernet computes at the given widths.

        Args:
            x: the inputs, (N, *shape).
            widths: the number of channels of each layer that is not depthwise, in order. Each
                number is a multiple of its layer's number of groups.
            measured: the number of inputs at the start of `x` on which the normalization statistics
                are measured; None to measure them on all inputs.
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
    """Return the output of a convolution, normalized, scaled and shifted for each channel.

    Args:
        x: the output of the convolution, (N, C, ...).
        layer: the layer, whose gains and offsets all widths share.
        places: the number of channels in each group of the output.
        measured: the number of inputs at the start of `x` on which the statistics are measured;
            None to measure them on all inputs.
    """
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
    """Return the loss of a supernet, summed over some widths.

    The largest widths learn from the labels and the teacher's logits, and the smaller widths from
    the supernet's own logits at the largest widths.

    Args:
        supernet: the supernet to train.
        batch: the inputs, their labels and the teacher's logits.
        distillation: the temperature and the weight of the teacher's logits.
        rows: the sets of widths to train. A set has one number for each layer that is not
            depthwise. The first set has the largest widths.
    """
    largest, *smaller = rows
    logits = supernet(batch.inputs, largest)
    loss = answer_loss(logits, batch, distillation)
    losses = [
        imitation_loss(batch.kind, supernet(batch.inputs, widths), logits.detach(), TEMPERATURE)
        for widths in smaller
    ]
    return sum(losses, loss)
