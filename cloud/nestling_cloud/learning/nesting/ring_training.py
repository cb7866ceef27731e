"""Train one part of a nest while all other numbers stay fixed."""

import torch

from nestling.v1.bundle_pb2 import Signature
from nestling_core.student.network import NestedStudent
from nestling_core.student.weights import prefix_shapes


class FrozenNest:
    """The numbers of a nest outside one part, to be restored after each optimizer step.

    Masking gradients would not be enough: AdamW's decay and moments move weights too.
    """

    def __init__(
        self, student: NestedStudent, signature: Signature, *, above: int, up_to: int
    ) -> None:
        """Remember everything but the weights that a capacity adds to a smaller one.

        Args:
            student: the nest.
            signature: of its task.
            above: capacity that is frozen with everything it holds; 0 for none.
            up_to: larger capacity; what lies beyond it is frozen too.
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
        """Restore the frozen numbers bit for bit."""
        for name, parameter in self._parameters.items():
            parameter.copy_(torch.where(self._free[name], parameter, self._kept[name]))
