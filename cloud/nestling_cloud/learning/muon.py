"""Implements Muon, an optimizer whose steps are orthogonalized (Jordan et al. 2024).

The gradient of a kernel, seen as a matrix with one row per output, has only a few large singular
values, so a plain gradient step hardly changes the kernel in the other directions. Muon makes all
singular values of the step about equal. docs/lab-log.md reports the measured benefit. The training
loop uses Muon for weights with three or more axes, and AdamW for all other weights.
"""

from collections.abc import Callable, Iterable
from typing import overload

import torch
from torch import nn

_MOMENTUM = 0.95
# Jordan's polynomial for orthogonalizing a matrix: five rounds take singular values of 0.002 and
# more to about 0.7 to 1.2.
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
# RMS size of an AdamW step in learning rates (Liu et al. 2025, arXiv 2502.16982).
_LIKE_ADAMW = 0.2


class Muon(torch.optim.Optimizer):
    """The Muon optimizer, scaled so that AdamW's learning rates and weight decays work for it too.

    Args:
        kernels: the parameters to train, each with two or more axes. The first axis of each is the
            layer's output.
        lr: the learning rate.
        weight_decay: the weight decay, which is decoupled as in AdamW.
    """

    def __init__(self, kernels: Iterable[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(kernels, {"lr": lr, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every kernel that has a gradient; a closure is not supported."""
        assert closure is None
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is not None:
                    self._move(kernel, kernel.grad, group["lr"], group["weight_decay"])
        return None

    def _move(
        self, kernel: nn.Parameter, gradient: torch.Tensor, lr: float, weight_decay: float
    ) -> None:
        state = self.state[kernel]
        if not state:
            state["mean"] = torch.zeros_like(gradient)
        mean = state["mean"].lerp_(gradient, 1 - _MOMENTUM)
        direction = gradient.lerp(mean, _MOMENTUM)  # Nesterov's
        matrix = orthogonal(direction.reshape(len(direction), -1))
        kernel.mul_(1 - lr * weight_decay)
        kernel.sub_(lr * _LIKE_ADAMW * max(matrix.shape) ** 0.5 * matrix.reshape(kernel.shape))


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Return a matrix with its singular values changed to about one.

    The singular vectors stay the same. The result is computed by Newton-Schulz iteration.

    Args:
        matrix: the matrix, (M, N). Its rows and columns of zeros stay zero.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    found: torch.Tensor = matrix.T if tall else matrix
    found = found / (found.norm() + 1e-7)
    a, b, c = _POLYNOMIAL
    for _ in range(_ROUNDS):
        square = found @ found.T
        found = a * found + (b * square + c * square @ square) @ found
    return found.T if tall else found
