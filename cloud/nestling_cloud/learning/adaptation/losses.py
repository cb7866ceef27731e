"""Measures the quality of a network's answers without labels."""

import torch
from torch.nn import functional


def information(logits: torch.Tensor) -> torch.Tensor:
    """Return the information that answers carry about their inputs (Krause et al. 2010).

    This mutual information is high if each answer is confident and all classes occur equally often.
    SHOT (Liang et al. 2020) maximizes it on unlabeled data.

    Args:
        logits: the logits of the answers, (N, classes).

    Returns:
        The information H(mean of p) - mean of H(p) in nats, a scalar from 0 to log(classes), where
        p are the class probabilities of an answer and H is the entropy.
    """
    log_p = functional.log_softmax(logits, dim=1)
    each = -(log_p.exp() * log_p).sum(1).mean()
    mean = log_p.exp().mean(0)
    found: torch.Tensor = torch.special.entr(mean).sum() - each
    return found
