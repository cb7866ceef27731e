"""Applies the random changes that a task file asks for to training inputs."""

from dataclasses import dataclass

import torch

from nestling_cloud.tasks import motion, pictures, sounds

_NOISE_RANGE_DB = 40.0


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of training inputs. What is 0 or false is left out.

    Attributes:
        flip: whether half of the pictures are mirrored left to right.
        shift: the largest shift; of pictures in pixels in each direction, of others in samples.
        erase: the longest side in pixels of a rectangle that is erased from half of the pictures.
        stretch: the largest change in speed of windows, as a fraction.
        scale: the deviation of a random factor, as a fraction.
        speed: the largest change in speed of sounds, as a fraction.
        tone_db: the largest gain or loss of a sound at any frequency, in dB.
        mute: the longest silence, in samples, in half of the sounds.
        level_db: the largest change of a sound's level, in dB.
        noise_db: the level of the loudest noise below a sound's peak, in dB.
    """

    flip: bool = False
    shift: int = 0
    erase: int = 0
    stretch: float = 0.0
    scale: float = 0.0
    speed: float = 0.0
    tone_db: float = 0.0
    mute: int = 0
    level_db: float = 0.0
    noise_db: float = 0.0

    def __call__(self, inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the inputs, (N, *shape), with random changes.

        Args:
            inputs: the inputs.
            generator: the random generator.
        """
        if self.flip:
            inputs = pictures.flip(inputs, generator)
        if self.shift:
            shift = pictures.shift if inputs.ndim == 4 else sounds.shift
            inputs = shift(inputs, self.shift, generator)
        if self.erase:
            inputs = pictures.erase(inputs, self.erase, generator)
        if self.stretch:
            inputs = motion.stretch(inputs, self.stretch, generator)
        if self.scale:
            each = (len(inputs), *[1] * (inputs.ndim - 1))
            inputs = inputs * (1 + self.scale * torch.randn(each, generator=generator))
        return self._heard(inputs, generator)

    def _heard(self, inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return sounds as other speakers, microphones and rooms might have made them."""
        if self.speed:
            inputs = sounds.change_speed(inputs, self.speed, generator)
        if self.tone_db:
            inputs = sounds.filter_tone(inputs, self.tone_db, generator)
        if self.mute:
            inputs = sounds.mute(inputs, self.mute, generator)
        if self.level_db:
            inputs = sounds.change_level(inputs, self.level_db, generator)
        if self.noise_db:
            softest = self.noise_db + _NOISE_RANGE_DB
            inputs = sounds.add_noise(inputs, self.noise_db, softest, generator)
        return inputs
