"""Keeps a nested student's parameters fixed, except in the part that is being trained."""

import torch

from nestling.v1.bundle_pb2 import Signature
from nestling_core.student.network import NestedStudent
from nestling_core.student.weights import prefix_shapes


class FrozenNest:
    """Copies of a nested student's parameters, to undo changes outside the part that is trained.

    Call `restore` after each optimizer step. Masking gradients would not be enough, because AdamW's
    weight decay and moments change weights too. Running statistics are not covered.
    """

    def __init__(
        self, student: NestedStudent, signature: Signature, *, above: int, up_to: int
    ) -> None:
        """Copy all parameters, and choose the frozen values, which `restore` resets.

        The values that belong to capacity `up_to` but not to capacity `above` stay trainable. All
        others are frozen.

        Args:
            student: the nested student.
            signature: the shape and classes of the task.
            above: the smaller capacity, whose values are all frozen; 0 for none.
            up_to: the larger capacity. Values that it does not use are frozen too.
        """
        self._parameters = dict(student.named_parameters())
        self._kept = {name: array.detach().clone() for name, array in self._parameters.items()}
        self._free = {
            name: torch.zeros(array.shape, dtype=torch.bool)
            for name, array in self._parameters.items()
        }
        for capacity, free in ((up_to, True), (above, False)):
            shapes = prefix_shapes(signature, student.config, capacity) if capacity else {}
            for name in shapes.keys() & self._free.keys():
                self._free[name][tuple(map(slice, shapes[name]))] = free

    @torch.no_grad()
    def restore(self) -> None:
        """Restore the frozen parameter values of the student from the copies, bit for bit."""
        for name, parameter in self._parameters.items():
            device = parameter.device  # it changes once, when the training begins
            free, kept = self._free[name].to(device), self._kept[name].to(device)
            self._free[name], self._kept[name] = free, kept
            parameter.copy_(torch.where(free, parameter, kept))
