"""Changes training inputs at random, as a task file says."""

from dataclasses import dataclass

import torch

from nestling_cloud.tasks.motion import stretch
from nestling_cloud.tasks.pictures import erase, flip, shift


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of training inputs. What is 0 or false is left out.

    Attributes:
        flip: whether half of the pictures are mirrored left to right.
        shift: the largest shift; of pictures in pixels in each direction, of sounds in samples.
        erase: the longest side in pixels of a rectangle that is erased from half of the pictures.
        stretch: the largest change in speed of windows, as a fraction.
        scale: the deviation of a random factor, as a fraction.
    """

    flip: bool = False
    shift: int = 0
    erase: int = 0
    stretch: float = 0.0
    scale: float = 0.0

    def __call__(self, inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the inputs, (N, *shape), with random changes.

        Args:
            inputs: the inputs.
            generator: the random generator.
        """
        if self.flip:
            inputs = flip(inputs, generator)
        if self.shift:
            is_picture = inputs.ndim == 4
            inputs = (shift if is_picture else shift_in_time)(inputs, self.shift, generator)
        if self.erase:
            inputs = erase(inputs, self.erase, generator)
        if self.stretch:
            inputs = stretch(inputs, self.stretch, generator)
        if self.scale:
            each = (len(inputs), *[1] * (inputs.ndim - 1))
            inputs = inputs * (1 + self.scale * torch.randn(each, generator=generator))
        return inputs


def shift_in_time(inputs: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Return the inputs, each shifted in time by a random number of samples.

    Samples that the shift leaves without a value become 0.

    Args:
        inputs: the inputs, (N, C, T).
        most: the largest shift in both directions, in samples.
        generator: the random generator.
    """
    count, _, length = inputs.shape
    padded = torch.nn.functional.pad(inputs, (most, most))
    moves = torch.randint(2 * most + 1, (count, 1), generator=generator)
    places = (moves + torch.arange(length))[:, None].expand(-1, inputs.shape[1], -1)  # (N, C, T)
    return padded.gather(2, places)
