"""Defines the plain rules that estimate success from the confidence of the capacity that ran."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

PlainRule = Literal["max-softmax", "margin", "scaled softmax"]

# Keeps the log-odds of a confidence of 0 or 1 finite.
FLOOR = 1e-6


class PlainConfidence(nn.Module):
    """Predicts success from one figure, the confidence of the capacity that ran.

    The log-odds that an option is right are a linear function of the log-odds of the confidence
    (Platt 1999), with two coefficients for each option and each capacity that may have run. The
    cloud's probability does not depend on the input. Inputs are therefore ranked as by the
    confidence itself, and a few inputs are enough to fit the rule.
    """

    def __init__(
        self,
        rule: PlainRule,
        temperatures: NDArray[np.float32],
        slopes: NDArray[np.float32],
        offsets: NDArray[np.float32],
    ) -> None:
        """Create a rule from fitted coefficients.

        Args:
            rule: the figure that serves as confidence: the largest class probability, or its
                difference from the second largest. "scaled softmax" is the largest class
                probability at a fitted temperature.
            temperatures: the temperature of each capacity's logits, (K,).
            slopes: the slope of each option after each capacity has run, (K, K + 1).
            offsets: the offset of each option after each capacity has run, (K, K + 1).
        """
        super().__init__()
        self.rule = rule
        self.capacities = len(temperatures)
        self.temperatures = nn.Buffer(torch.from_numpy(temperatures))
        self.slopes = nn.Buffer(torch.from_numpy(slopes))
        self.offsets = nn.Buffer(torch.from_numpy(offsets))

    def forward(self, logits: torch.Tensor, capacity: torch.Tensor) -> torch.Tensor:
        """Return the probability that each option answers correctly.

        Args:
            logits: the logits of each input, (N, classes).
            capacity: the index, from 0, of the capacity that computed each row of logits, (N,).

        Returns:
            The probabilities of capacities 1 to K and the cloud, (N, K + 1).
        """
        odds = confidence_odds(self.rule, logits / self.temperatures[capacity][:, None])
        return torch.sigmoid(self.slopes[capacity] * odds + self.offsets[capacity])


def confidence_odds(rule: PlainRule, logits: torch.Tensor) -> torch.Tensor:
    """Return the log-odds of the confidence of each input, (N, 1).

    Args:
        rule: the figure that serves as confidence.
        logits: the logits, already divided by the temperature, (N, classes).
    """
    top = torch.topk(functional.softmax(logits, dim=1), 2, dim=1).values
    confidence = top[:, :1] - top[:, 1:] if rule == "margin" else top[:, :1]
    return torch.log(confidence + FLOOR) - torch.log(1 - confidence + FLOOR)
