"""A cloud model: an ONNX file that onnxruntime runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.cloud_model.signature import Signature
from nestling_cloud.errors import CloudError
from nestling_core.execution.session import open_session, quiet_run

if TYPE_CHECKING:
    import onnxruntime

INPUT = "input"
OUTPUT = "logits"
MAX_BATCH = 32
"""Most rows of one run."""


class ModelError(CloudError):
    """An ONNX model that cannot be read, has other tensors than we serve, or answers otherwise."""


class CloudModel:
    """One loaded model: float32 "input" (n, *shape) to float32 "logits" (n, classes).

    It has answered one input and two when it is loaded: a model that gives up the batch axis of one
    input would be noticed by its clients only.

    Args:
        name: what clients call it.
        model: its ONNX file, or what is in it.

    Raises:
        ModelError: it is no ONNX model, its tensors are not these two, or it does not answer every
            input with logits of its own.
    """

    def __init__(self, name: str, model: Path | bytes) -> None:
        self._where = str(model) if isinstance(model, Path) else f"the model {name}"
        try:
            content = model.read_bytes() if isinstance(model, Path) else model
            self._session = open_session(content)
        except Exception as err:  # onnxruntime's errors share no base
            raise ModelError(f"cannot load {self._where}: {err}; export the model again") from err
        shape = self._row_shape(INPUT, self._session.get_inputs())
        (classes,) = self._row_shape(OUTPUT, self._session.get_outputs(), axes=1)
        self.signature = Signature(
            model=name, input_name=INPUT, shape=shape, output_name=OUTPUT, classes=classes
        )
        for count in (1, 2):
            self.run(np.zeros((count, *shape), np.float32))

    def run(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (n, classes) of inputs (n, *shape).

        Raises:
            ModelError: it fails, or answers with another shape.
        """
        try:
            (logits,) = self._session.run([OUTPUT], {INPUT: rows}, quiet_run())
        except Exception as err:  # onnxruntime's errors share no base
            reason = str(err).strip().split("\n", 1)[0]
            raise ModelError(f"{self._where} fails on {len(rows)} inputs: {reason}") from err
        answer: NDArray[np.float32] = logits
        wanted = (len(rows), self.signature.classes)
        if answer.shape != wanted:
            raise ModelError(
                f"{self._where} answers {len(rows)} inputs with logits {list(answer.shape)}, not "
                f"{list(wanted)}: it has to keep the batch axis, also of one input"
            )
        return answer

    def _row_shape(
        self, name: str, tensors: "list[onnxruntime.NodeArg]", axes: int | None = None
    ) -> tuple[int, ...]:
        """Shape of one row of the one tensor there has to be."""
        found = ", ".join(f"{tensor.name} {tensor.type}{tensor.shape}" for tensor in tensors)
        if len(tensors) == 1 and (tensors[0].name, tensors[0].type) == (name, "tensor(float)"):
            batch, *row = tensors[0].shape or [1]
            free, fixed = not isinstance(batch, int), all(isinstance(size, int) for size in row)
            if free and fixed and axes in {None, len(row)}:
                return tuple(row)
        raise ModelError(
            f"{self._where}: needs one float32 tensor {name!r} with a free first axis and fixed "
            f"others, has {found}; export it with dynamic batch"
        )
