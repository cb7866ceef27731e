"""Defines a teacher of anomaly tasks that compares windows with normal ones it remembers."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.models.anomaly_scorer import AnomalyScorer

# Noise below this part of a channel's usual noise makes no difference.
_QUIET = 0.01
_SMALLEST = 1e-6
# A place so far away that it is nobody's neighbor.
_NOWHERE = 1e6
# Units and neighbors determine each other; they hardly change after a few rounds.
_ROUNDS = 6
MOST_WINDOWS = 4096
"""The number of windows from which a teacher learns as well as from more."""

Statistic = Literal["level", "noise", "roughness"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
"""All statistics of a channel."""


class NeighborTeacher(AnomalyScorer):
    """Scores windows (N, C, ...) by the distance of their statistics to those of normal windows.

    The statistics of a channel are its level, its noise, and its roughness, which is the noise of
    the differences from one sample to the next. A level is the arsinh of the mean in units of the
    channel's usual noise, which counts small levels as they are and large ones by their ratio. A
    score is the mean distance to the nearest remembered windows, divided by a threshold.

    Recordings differ although nothing is wrong, in some statistics more than in others. Every
    statistic is therefore measured in units of its usual difference between a normal window and
    its nearest window in another recording. Nothing has to be known about which channels matter.

    The distance to the k-th nearest neighbor is a classic score (Ramaswamy et al. 2000); the units
    follow the idea of relevant component analysis (Bar-Hillel et al. 2005), with neighbors in place
    of classes.

    Args:
        signature: the input shape of the task.
        remembered: the largest number of normal windows that are remembered.
        neighbors: the number of nearest windows whose mean distance is the score.
        statistics: the statistics that count. With recordings of few machines, fewer are often
            better.
    """

    def __init__(
        self,
        signature: Signature,
        remembered: int = 2048,
        neighbors: int = 3,
        statistics: Sequence[Statistic] = STATISTICS,
    ) -> None:
        """Create a teacher that remembers nothing yet."""
        super().__init__()
        channels = signature.shape[0]
        self.counted = tuple(statistics)
        self.neighbors = neighbors
        self.usual_noise = nn.Buffer(torch.ones(channels))
        self.units = nn.Buffer(torch.ones(len(self.counted) * channels))
        self.memory = nn.Buffer(torch.full((remembered, len(self.units)), _NOWHERE))

    def log_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of each window's distance to its nearest neighbors, (N, 1).

        Args:
            x: the windows, (N, C, ...).
        """
        places = self.statistics(x) / self.units
        # The squares are summed and not multiplied out, which would cancel in float32.
        squares = (places[:, None] - self.memory).square().sum(2)  # (N, M)
        nearest = torch.topk(squares, self.neighbors, dim=1, largest=False).values
        return torch.log(nearest.sqrt().mean(1, keepdim=True) + _SMALLEST)

    def statistics(self, x: torch.Tensor) -> torch.Tensor:
        """Return the statistics of windows that count, (N, S C).

        Args:
            x: the windows, (N, C, ...).
        """
        found = {
            "level": lambda: torch.asinh(x.flatten(2).mean(2) / self.usual_noise),
            "noise": lambda: torch.log(_noise(x) / self.usual_noise + _QUIET),
            "roughness": lambda: torch.log(
                _noise(x[..., 1:] - x[..., :-1]) / self.usual_noise + _QUIET
            ),
        }
        return torch.cat([found[name]() for name in self.counted], dim=1)

    @torch.no_grad()
    def fit(self, windows: NDArray[np.float32], recordings: NDArray[np.integer]) -> None:
        """Remember normal windows, and find the units of their statistics.

        The time grows with the square of the number of windows; `MOST_WINDOWS` are plenty.

        Args:
            windows: normal training windows, (N, C, ...).
            recordings: the number of the recording that each window is from, (N,). If all differ,
                the windows are independent.

        Raises:
            ValueError: there are fewer windows than neighbors, or only one recording.
        """
        if len(windows) < self.neighbors or len(np.unique(recordings)) < 2:
            raise ValueError(
                f"{len(windows)} normal windows of {len(np.unique(recordings))} recordings are too "
                f"few for {self.neighbors} neighbors and a comparison between recordings"
            )
        given = torch.from_numpy(windows)
        self.usual_noise.copy_(_noise(given).median(0).values.clamp_min(_SMALLEST))
        found = self.statistics(given)
        self.units.copy_(_usual_differences(found, torch.from_numpy(recordings)))
        kept = np.unique(np.linspace(0, len(found) - 1, len(self.memory)).astype(np.intp))
        self.memory.fill_(_NOWHERE)
        self.memory[: len(kept)] = found[kept] / self.units


def _noise(x: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation of each channel, (N, C)."""
    flat = x.flatten(2)
    return (flat - flat.mean(2, keepdim=True)).square().mean(2).sqrt()


def _usual_differences(statistics: torch.Tensor, origin: torch.Tensor) -> torch.Tensor:
    """Return the usual difference of each statistic between neighbors, (F,).

    It is the median within a recording, of which the median over recordings is taken.

    Args:
        statistics: the statistics of normal windows, (N, F).
        origin: the recording of each window, (N,). Neighbors are from different ones.
    """
    places = statistics.double()
    spread = places.std(0) + _SMALLEST
    units = spread
    same = origin[:, None] == origin
    groups = sorted(set(origin.tolist()))
    for _ in range(_ROUNDS):
        distances = torch.cdist(places / units, places / units)
        nearest = distances.masked_fill(same, torch.inf).argmin(1)
        differences = (places - places[nearest]).abs()
        if len(groups) == len(origin):  # independent windows
            units = differences.median(0).values
        else:
            medians = [differences[origin == group].median(0).values for group in groups]
            units = torch.stack(medians).median(0).values
        units = units + _QUIET * spread
    return units.float()
