"""How good a network's answers are, as far as that can be said without labels: pure functions."""

import torch
from torch.nn import functional


def information(logits: torch.Tensor) -> torch.Tensor:
    """Information that answers carry of their inputs (Krause et al. 2010).

    What SHOT (Liang et al. 2020) makes large on unlabelled data.

    Args:
        logits: (N, classes).

    Returns:
        H(mean of p) - mean of H(p) in nats, a scalar from 0 to log(classes): high where each answer
        is sure and all classes are answered.
    """
    log_p = functional.log_softmax(logits, dim=1)
    each = -(log_p.exp() * log_p).sum(1).mean()
    mean = log_p.exp().mean(0)
    found: torch.Tensor = torch.special.entr(mean).sum() - each
    return found
