"""Defines the plain rules that estimate success from the confidence of the capacity that ran."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.labels import MultiLabel
from nestling_core.kinds.regression import Regression

PlainRule = Literal[
    "max-softmax", "margin", "scaled softmax", "joint label", "expected error", "score distance"
]

RULE_OF_KIND: Mapping[str, PlainRule] = {
    MultiLabel.name: "joint label",
    Regression.name: "expected error",
    Anomaly.name: "score distance",
}
"""The rule of each kind of task but single-label, which has a choice."""

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
            rule: the figure that serves as confidence:

                - "max-softmax": the largest class probability.
                - "margin": its difference from the second largest.
                - "scaled softmax": the largest class probability at a fitted temperature.
                - "joint label": the probability that every label is right.
                - "expected error": the probability that every value is within its tolerance, if
                  errors have a Laplace distribution.
                - "score distance": the probability that the score is on the right side of its
                  threshold, if the output is the log-odds of that.
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
            logits: the outputs for each input, (N, O).
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
        logits: the outputs, already divided by the temperature, (N, O).
    """
    confidence = _confidence(rule, logits)
    return torch.log(confidence + FLOOR) - torch.log(1 - confidence + FLOOR)


def _confidence(rule: PlainRule, outputs: torch.Tensor) -> torch.Tensor:
    match rule:
        case "joint label" | "score distance":
            return torch.sigmoid(outputs.abs()).prod(1, keepdim=True)
        case "expected error":
            expected = outputs[:, outputs.shape[1] // 2 :]
            return (1 - torch.exp(-torch.exp(-expected))).prod(1, keepdim=True)
        case _:
            top = torch.topk(functional.softmax(outputs, dim=1), 2, dim=1).values
            return top[:, :1] - top[:, 1:] if rule == "margin" else top[:, :1]
