"""What can be said of a network's answers and features without labels. All are pure functions."""

import torch
from torch.nn import functional


def information(logits: torch.Tensor) -> torch.Tensor:
    """Information that the answers carry of the inputs (Krause et al. 2010; SHOT, Liang et al. 2020).

    Args:
        logits: (N, classes).

    Returns:
        H(mean of p) - mean of H(p) in nats, a scalar from 0 to log(classes): high where each answer
        is sure and all classes are answered.
    """
    log_p = functional.log_softmax(logits, dim=1)
    each = -(log_p.exp() * log_p).sum(1).mean()
    mean = log_p.exp().mean(0)
    return torch.special.entr(mean).sum() - each


def coral(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Distance of two domains' feature covariances (Deep CORAL, Sun & Saenko 2016).

    Args:
        source: features (N, F).
        target: features (M, F).

    Returns:
        Squared Frobenius norm of the difference, over 4 F^2.
    """
    difference = torch.cov(source.T) - torch.cov(target.T)
    return difference.square().sum() / (4 * source.shape[1] ** 2)
