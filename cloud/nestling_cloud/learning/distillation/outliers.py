"""Makes inputs unusual, so that a student also learns what a teacher says of anomalies.

The training data of an anomaly task is normal, and a student that saw nothing else could not know
how a teacher's score rises. It therefore also learns from inputs that are changed at random in the
ways in which sensors and machines fail. What the teacher says of them is the label (outlier
exposure, Hendrycks et al. 2019, but with the teacher's score instead of a class).
"""

from collections.abc import Callable

import torch

from nestling_cloud.tasks.inputs import Inputs
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.kind import Kind

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]

# The largest change, in standard deviations of a channel, and the powers of ten down to the least.
# What is unusual may be far less than the spread of a channel, if a machine has several states.
_STRONGEST, _POWERS = 4.0, 3.0


def with_outliers(augment: Augment) -> Augment:
    """Return an augmentation that also makes each input unusual, with a probability of 1/2."""

    def augmented(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        found = augment(inputs, generator)
        unusual = outliers(found, generator)
        chosen = torch.rand(len(found), generator=generator) < 0.5
        return torch.where(chosen.reshape(-1, *(1,) * (found.ndim - 1)), unusual, found)

    return augmented


def inputs_as_trained(kind: Kind, inputs: Inputs) -> Inputs:
    """Return training inputs as a student of this kind of task meets them, without augmentation.

    Statistics and ranges of a student are measured on them. In an anomaly task, about half of them
    are made unusual, and all are in memory; otherwise they are unchanged.

    Args:
        kind: the kind of the task.
        inputs: the training inputs, (N, *shape).
    """
    if not isinstance(kind, Anomaly):
        return inputs
    same = with_outliers(lambda given, _: given)
    return same(torch.from_numpy(inputs[:]), torch.Generator()).numpy()


def outliers(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the inputs, each changed in some of its channels in one of seven ways.

    The ways are: an offset, another scale, noise, a constant (a sensor that is stuck), the same
    channels of another input, a course that runs backward, and one that runs faster or slower. How
    strong the change is varies from input to input, from next to nothing to four standard
    deviations, and every order of magnitude is as likely.

    Args:
        inputs: the inputs, (N, C, ...).
        generator: the random generator.
    """
    count, channels = inputs.shape[:2]
    tail = (1,) * (inputs.ndim - 2)
    deviation = inputs.transpose(0, 1).flatten(1).std(1).reshape(1, channels, *tail)
    drawn = torch.rand(count, 1, *tail, generator=generator)
    strength = _STRONGEST * 10 ** (-_POWERS * drawn)
    sign = torch.randint(2, (count, channels, *tail), generator=generator) * 2 - 1
    mean = inputs.flatten(2).mean(2).reshape(count, channels, *tail)
    noise = torch.randn(inputs.shape, generator=generator)
    others = inputs[torch.randperm(count, generator=generator)]
    ways = torch.stack(
        [
            inputs + strength * sign * deviation,
            mean + (inputs - mean) * torch.exp(sign * strength / 2),
            inputs + strength * deviation * noise,
            (mean + strength * sign * deviation / 2).expand_as(inputs),
            others,
            inputs.flip(-1),
            _at_other_speed(inputs, generator),
        ]
    )
    way = torch.randint(len(ways), (count,), generator=generator)
    changed = ways[way, torch.arange(count)]
    touched = torch.rand(count, channels, *tail, generator=generator) < torch.rand(
        count, 1, *tail, generator=generator
    )
    return torch.where(touched, changed, inputs)


def _at_other_speed(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the inputs running up to twice as fast or slow along the last axis.

    A course that ends too early starts over.
    """
    count, length = len(inputs), inputs.shape[-1]
    speed = 2 ** (2 * torch.rand(count, 1, generator=generator) - 1)
    places = (torch.arange(length) * speed).long() % length  # (N, T)
    shape = (count, *(1,) * (inputs.ndim - 2), length)
    return inputs.gather(-1, places.reshape(shape).expand_as(inputs))
