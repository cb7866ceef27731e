"""The multiplexer: a few layers behind a student's own, which say what each option is good for."""

import torch
from torch import nn
from torch.nn import functional

_HIDDEN = 32
# Class probabilities that it looks at, the largest; later ones are next to nothing.
_TOP = 5


class Multiplexer(nn.Module):
    """(logits, the capacity that gave them) -> probability that every option is right.

    The options are capacity 1 to K and the cloud. After Eshratifar & Pedram 2020 (arXiv
    2001.05870), but with no layers of its own that look at the raw input: they are those of the
    capacity that has run, the smallest one as a rule. A network beside it costs as much and knows
    less (ADR 24). What a budget affords is exact: see `nestling_device.bundle.multiplexer`.
    """

    def __init__(self, classes: int, capacities: int, *, knows_classes: bool = False) -> None:
        """Build it untrained.

        Args:
            classes: that the logits are of.
            capacities: K.
            knows_classes: look at which class has which probability too, not only at the largest.
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
        """(N, classes), capacities from 0 (N,) -> probabilities (N, K + 1)."""
        probabilities = functional.softmax(logits, dim=1)
        top = torch.topk(probabilities, self.top, dim=1).values
        hidden = self.seen(top) + self.ran(capacity)
        if self.classes is not None:
            hidden = hidden + self.classes(probabilities)
        return torch.sigmoid(self.right(self.dropout(torch.relu(hidden))))
