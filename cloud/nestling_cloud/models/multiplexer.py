"""Defines the multiplexer, which predicts how likely each option is to answer correctly."""

import torch
from torch import nn
from torch.nn import functional

_HIDDEN = 32
# Number of the largest class probabilities in its input; the others are close to 0.
_TOP = 5


class Multiplexer(nn.Module):
    """Predicts the probability that each option answers an input correctly.

    The options are capacities 1 to K (the sizes of the student) and the cloud. The multiplexer
    follows Eshratifar & Pedram 2020 (arXiv 2001.05870), but does not process the raw input.
    Instead, it uses the logits of the capacity that has run. A separate network on the raw input
    costs about as much as the smallest capacity, and predicts worse (ADR 24). The budget is not
    learned: `nestling_device.bundle.multiplexer` applies it exactly.
    """

    def __init__(self, classes: int, capacities: int, *, knows_classes: bool = False) -> None:
        """Build an untrained multiplexer.

        Args:
            classes: the number of classes.
            capacities: the number of capacities, K.
            knows_classes: True to use the probability of each class as an input, in addition to the
                few largest probabilities.
        """
        super().__init__()
        self.capacities = capacities
        self.top = min(_TOP, classes)
        self.seen = nn.Linear(self.top, _HIDDEN)
        self.ran = nn.Embedding(capacities, _HIDDEN)
        self.classes = nn.Linear(classes, _HIDDEN, bias=False) if knows_classes else None
        self.dropout = nn.Dropout(0.1)
        self.right = nn.Linear(_HIDDEN, capacities + 1)
        nn.init.normal_(self.ran.weight, std=0.1)

    def forward(self, logits: torch.Tensor, capacity: torch.Tensor) -> torch.Tensor:
        """Return the probability that each option answers correctly.

        Args:
            logits: the logits of each input, (N, classes).
            capacity: for each row of logits, the index from 0 of the capacity that computed it,
                (N,).

        Returns:
            The probabilities of capacities 1 to K and the cloud, (N, K + 1).
        """
        probabilities = functional.softmax(logits, dim=1)
        top = torch.topk(probabilities, self.top, dim=1).values
        hidden = self.seen(top) + self.ran(capacity)
        if self.classes is not None:
            hidden = hidden + self.classes(probabilities)
        return torch.sigmoid(self.right(self.dropout(torch.relu(hidden))))
