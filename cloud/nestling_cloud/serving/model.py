"""A cloud model: an ONNX file that onnxruntime runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestling.session import open_session
from nestling_cloud.errors import CloudError
from nestling_cloud.serving.tensors import Signature

if TYPE_CHECKING:
    import onnxruntime as ort

_INPUT = "input"
_OUTPUT = "logits"


class ModelError(CloudError):
    """An ONNX file that cannot be read, or that has other inputs or outputs than we serve."""


class CloudModel:
    """One loaded model: float32 "input" (n, *shape) to float32 "logits" (n, classes).

    Args:
        name: what clients call it.
        path: its ONNX file.

    Raises:
        ModelError: the file is no ONNX model, or its tensors are not these two.
    """

    def __init__(self, name: str, path: Path) -> None:
        try:
            self._session = open_session(path.read_bytes())
        except Exception as err:  # onnxruntime's errors share no base
            raise ModelError(f"cannot load {path}: {err}; export the model again") from err
        shape = self._row_shape(path, _INPUT, self._session.get_inputs())
        (classes,) = self._row_shape(path, _OUTPUT, self._session.get_outputs(), axes=1)
        self.signature = Signature(
            model=name, input_name=_INPUT, shape=shape, output_name=_OUTPUT, classes=classes
        )

    def run(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (n, classes) of inputs (n, *shape)."""
        (logits,) = self._session.run([_OUTPUT], {_INPUT: rows})
        answer: NDArray[np.float32] = logits
        return answer

    @staticmethod
    def _row_shape(
        path: Path, name: str, tensors: "list[ort.NodeArg]", axes: int | None = None
    ) -> tuple[int, ...]:
        """Shape of one row of the one tensor there has to be."""
        found = ", ".join(f"{tensor.name} {tensor.type}{tensor.shape}" for tensor in tensors)
        if len(tensors) == 1 and (tensors[0].name, tensors[0].type) == (name, "tensor(float)"):
            batch, *row = tensors[0].shape or [1]
            free, fixed = not isinstance(batch, int), all(isinstance(size, int) for size in row)
            if free and fixed and axes in {None, len(row)}:
                return tuple(row)
        raise ModelError(
            f"{path}: needs one float32 tensor {name!r} with a free first axis and fixed others, "
            f"has {found}; export it with dynamic batch"
        )
