"""The two networks that route: the multiplexer before a student runs, the accept head after."""

import torch
from torch import nn
from torch.nn import functional

from nestling.budget import BUDGET_FIELDS
from nestling.student.normalizer import Normalizer
from nestling.v1.bundle_pb2 import Signature

_HIDDEN = 24
_ACCEPT_HIDDEN = 64
_BUDGET_STRETCH = 12.0
# Sorted class probabilities that the accept head looks at; later ones are next to nothing.
_TOP = 5


class Multiplexer(nn.Module):
    """(input, budget vector) -> success probability of capacity 1 to K and of the cloud.

    Success is being right and being affordable. The first depends on the input alone and the
    second on the budget alone, so each has its own branch and the answer is their product
    (after the neural multiplexer of Eshratifar & Pedram 2020, arXiv 2001.05870).
    """

    def __init__(self, signature: Signature, capacities: int) -> None:
        """Build it untrained."""
        super().__init__()
        channels, *axes = signature.shape
        dims = len(axes)
        conv = nn.Conv1d if dims == 1 else nn.Conv2d
        norm = nn.BatchNorm1d if dims == 1 else nn.BatchNorm2d
        self.normalizer = Normalizer(channels, dims)
        self.body = nn.Sequential(
            conv(channels, _HIDDEN // 2, 5, 4, 2),
            norm(_HIDDEN // 2),
            nn.ReLU(),
            conv(_HIDDEN // 2, _HIDDEN, 3, 2, 1),
            norm(_HIDDEN),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(0.2)
        self.right_head = nn.Linear(2 * _HIDDEN, capacities + 1)
        self.affordable_body = nn.Sequential(
            nn.Linear(len(BUDGET_FIELDS), 2 * _HIDDEN),
            nn.ReLU(),
            nn.Linear(2 * _HIDDEN, capacities + 1),
        )

    def right(self, x: torch.Tensor) -> torch.Tensor:
        """Probability that each option is right, (N, *shape) -> (N, K + 1)."""
        seen = self.body(self.normalizer(x)).flatten(2)
        pooled = torch.cat([seen.mean(2), seen.amax(2)], 1)
        return torch.sigmoid(self.right_head(self.dropout(pooled)))

    def affordable(self, budget: torch.Tensor) -> torch.Tensor:
        """Probability that a budget admits each option, (N, 6) -> (N, K + 1)."""
        # Limits are sharp: without the stretch, ten percent of memory are a hundredth of the axis.
        return torch.sigmoid(self.affordable_body((budget - 0.5) * _BUDGET_STRETCH))

    def forward(self, x: torch.Tensor, budget: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, *shape), (N, 6) -> success, and being right alone, each (N, K + 1)."""
        right = self.right(x)
        return right * self.affordable(budget), right


class AcceptHead(nn.Module):
    """(logits, right, capacity) -> probability that each option is right, once a student ran.

    It sees how sure the student is and of which class, and what the multiplexer said of all options
    before: capacity 1 to K and the cloud. What a budget affords is none of its business: the policy
    holds limits against what runs.
    """

    def __init__(self, classes: int, capacities: int) -> None:
        """Build it untrained."""
        super().__init__()
        self.top = min(_TOP, classes)
        self.body = nn.Sequential(
            nn.Linear(self.top + 2 + classes + 2 * capacities + 1, _ACCEPT_HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(_ACCEPT_HIDDEN, capacities + 1),
        )

    def forward(
        self, logits: torch.Tensor, right: torch.Tensor, capacity: torch.Tensor
    ) -> torch.Tensor:
        """(N, classes), (N, K + 1), one-hot (N, K) -> probabilities (N, K + 1)."""
        probabilities = functional.softmax(logits, dim=1)
        top = torch.topk(probabilities, self.top, dim=1).values
        # The smallest float keeps log(0) out of the entropy.
        entropy = -(probabilities * probabilities.clamp_min(1e-20).log()).sum(1, keepdim=True)
        margin = top[:, :1] - top[:, 1:2]
        answer = functional.one_hot(probabilities.argmax(1), logits.shape[1]).to(logits.dtype)
        return torch.sigmoid(
            self.body(torch.cat([top, entropy, margin, answer, right, capacity], 1))
        )
