"""Computes log-mel features inside a network, which can then accept raw samples of a sound."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from nestling_core.student.log_mel import LogMel

_BATCH = 256  # inputs whose spectra are in memory at a time


class LogMelLayer(nn.Module):
    """A layer without trained weights that computes log-mel features, in 32 bits.

    Its arrays follow from its sizes, and are not part of a network's state.
    """

    waves: torch.Tensor
    weights: torch.Tensor

    def __init__(self, sizes: LogMel) -> None:
        """Create the layer for a front end of the given sizes."""
        super().__init__()
        self.sizes = sizes
        twice = np.concatenate([sizes.weights] * 2).T  # cosine and sine of a frequency count alike
        for name, values in (("waves", sizes.waves[:, None]), ("weights", twice[:, :, None])):
            array = torch.from_numpy(values.astype(np.float32))
            self.register_buffer(name, array, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of samples (N, 1, T), in the shape that `LogMel.shape` returns."""
        if torch.is_autocast_enabled(x.device.type):  # 16 bits would not do for a logarithm
            with torch.autocast(x.device.type, enabled=False):
                return self._features(x.float())
        return self._features(x)

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        parts = functional.conv1d(x, self.waves, stride=self.sizes.hop)
        power = functional.conv1d(parts * parts, self.weights)
        features = torch.log(power + self.sizes.floor)
        if self.sizes.remove_mean:
            features = features - features.mean(2, keepdim=True)
        return features if self.sizes.bands_as_channels else features.unsqueeze(1)


@torch.no_grad()
def features_of(sizes: LogMel, samples: torch.Tensor) -> torch.Tensor:
    """Return the features of many inputs, a part of them at a time.

    Args:
        sizes: the sizes of the front end.
        samples: the inputs, (N, 1, T).
    """
    layer = LogMelLayer(sizes)
    return torch.cat([layer(part) for part in torch.split(samples, _BATCH)])
