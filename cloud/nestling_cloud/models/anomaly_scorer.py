"""Defines what the built-in teachers of anomaly tasks share, a threshold of their scores."""

import torch
from torch import nn

# Share of the normal inputs that count as anomalies if no true anomaly is known.
_FALSE_ALARMS = 0.01


class AnomalyScorer(nn.Module):
    """A network that scores how unusual inputs are, in units of a threshold that can be set.

    Subclasses define `log_scores`.
    """

    def __init__(self) -> None:
        """Create a network with the threshold 1."""
        super().__init__()
        self.log_threshold = nn.Buffer(torch.zeros(()))

    def log_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of each input's score before the threshold divides it, (N, 1).

        Args:
            x: the inputs, (N, *shape).
        """
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of each input's score, (N, 1): above 0 for an anomaly."""
        return self.log_scores(x) - self.log_threshold

    @torch.no_grad()
    def fit_threshold(self, scores: torch.Tensor, labels: torch.Tensor) -> None:
        """Set the threshold that best separates normal inputs from anomalies.

        The inputs should be ones that the teacher was not trained on. With anomalies among them,
        the threshold is the one with the best F1 score. Without any, one normal input in a hundred
        counts as an anomaly.

        Args:
            scores: what `forward` returned for these inputs so far, (N, 1).
            labels: 0 for a normal input and 1 for an anomaly, (N,).
        """
        found = scores.flatten() + self.log_threshold
        self.log_threshold.fill_(best_threshold(found, labels))


def best_threshold(scores: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the logarithm of the score above which an input counts as an anomaly.

    Args:
        scores: the natural logarithms of the scores of some inputs, (N,).
        labels: 0 for a normal input and 1 for an anomaly, (N,).

    Returns:
        The threshold with the best F1 score. If there are no anomalies, it is the one above which
        one normal input in a hundred is. If every input should count, it is 0.001 below the
        smallest.
    """
    order = scores.argsort(descending=True)
    ranked, anomalous = scores[order].double(), labels[order].double()
    if not anomalous.any():
        return float(torch.quantile(ranked, 1 - _FALSE_ALARMS))
    hits = anomalous.cumsum(0)
    counts = torch.arange(1, len(ranked) + 1)
    best = int((2 * hits / (counts + anomalous.sum())).argmax())
    if best + 1 == len(ranked):
        return float(ranked[-1]) - 1e-3
    return float(ranked[best] + ranked[best + 1]) / 2
