"""Muon: momentum whose step turns a layer's weights in all directions alike (Jordan et al. 2024).

A gradient of a kernel, as a matrix of its outputs, has few large singular values, and along the
others hardly anything is learned. Muon sets all of them to about one. What that gained here
stands in docs/lab-log.md; for weights that are no matrices AdamW goes on.
"""

from collections.abc import Callable, Iterable
from typing import overload

import torch
from torch import nn

_MOMENTUM = 0.95
# Of a matrix that is to be orthogonal: Jordan's polynomial, which takes singular values of 0.002
# and more to about 0.7 to 1.2 in five rounds.
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
# An AdamW step moves a weight by about so many learning rates (Liu et al. 2025, arXiv 2502.16982).
_LIKE_ADAMW = 0.2


class Muon(torch.optim.Optimizer):
    """An optimiser of kernels, whose learning rate and decay mean what they mean to AdamW.

    Args:
        kernels: of two axes or more, the outputs first.
        lr: learning rate.
        weight_decay: decoupled, as AdamW's.
    """

    def __init__(self, kernels: Iterable[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(kernels, {"lr": lr, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move every kernel that has a gradient."""
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
    """The nearest matrix whose singular values are about one, by Newton and Schulz's iteration.

    Args:
        matrix: (M, N); rows and columns of zeros stay what they are.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    found: torch.Tensor = matrix.T if tall else matrix
    found = found / (found.norm() + 1e-7)
    a, b, c = _POLYNOMIAL
    for _ in range(_ROUNDS):
        square = found @ found.T
        found = a * found + (b * square + c * square @ square) @ found
    return found.T if tall else found
