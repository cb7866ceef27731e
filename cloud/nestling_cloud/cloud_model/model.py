"""Loads and runs a cloud model, which is an ONNX file, in onnxruntime."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.cloud_model.signature import Signature
from nestling_cloud.errors import CloudError
from nestling_core.execution.session import open_session, quiet_run
from nestling_core.parsing.headline import headline

if TYPE_CHECKING:
    import onnxruntime

INPUT = "input"
OUTPUT = "logits"
MAX_BATCH = 32
"""The largest number of inputs in one run."""


class ModelError(CloudError):
    """Raised when an ONNX model cannot be loaded or run, or when its tensors or answers are wrong.

    An answer is wrong if it has an unexpected shape, is not finite, or depends on the rest of the
    batch.
    """


class CloudModel:
    """A loaded model that returns the logits of a batch of inputs.

    The model has to map a float32 tensor "input" (n, *shape) to a float32 tensor "logits"
    (n, classes). Loading a model also runs it on a single input and on a batch of two, to detect a
    model that drops the batch axis of a single input.

    Args:
        name: the model's name for clients.
        model: the path or the content of the model's ONNX file.

    Attributes:
        signature: the names of the model and its tensors, the shape of an input, and the number of
            classes.

    Raises:
        ModelError: the file cannot be read or is not an ONNX model, or the model does not have
            exactly these two tensors, fails, or does not return one row of logits for each input.
    """

    def __init__(self, name: str, model: Path | bytes) -> None:
        self._where = str(model) if isinstance(model, Path) else f"the model {name}"
        try:
            content = model.read_bytes() if isinstance(model, Path) else model
            self._session = open_session(content)
        except Exception as err:  # onnxruntime's errors share no base
            raise ModelError(
                f"cannot load {self._where}: {headline(str(err))}; export the model again"
            ) from err
        shape = self._row_shape(INPUT, self._session.get_inputs())
        (classes,) = self._row_shape(OUTPUT, self._session.get_outputs(), axes=1)
        self.signature = Signature(
            model=name, input_name=INPUT, shape=shape, output_name=OUTPUT, classes=classes
        )
        for count in (1, 2):
            self.run(np.zeros((count, *shape), np.float32))

    def run(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits (n, classes) of inputs (n, *shape).

        Raises:
            ModelError: the model fails, or its output has the wrong shape.
        """
        try:
            (logits,) = self._session.run([OUTPUT], {INPUT: rows}, quiet_run())
        except Exception as err:  # onnxruntime's errors share no base
            raise ModelError(
                f"{self._where} fails on {len(rows)} inputs: {headline(str(err))}"
            ) from err
        answer: NDArray[np.float32] = logits
        wanted = (len(rows), self.signature.classes)
        if answer.shape != wanted:
            raise ModelError(
                f"{self._where} answers {len(rows)} inputs with logits {list(answer.shape)}, not "
                f"{list(wanted)}: it must keep the batch axis, even for one input"
            )
        return answer

    def _row_shape(
        self, name: str, tensors: "list[onnxruntime.NodeArg]", axes: int | None = None
    ) -> tuple[int, ...]:
        """Return the shape of one row of the model's only input or output tensor.

        `axes` is the number of axes that a row must have; None for any number. Raises ModelError
        unless there is exactly one tensor, which has the right name and type, a first axis of any
        size, and other axes of fixed sizes.
        """
        found = ", ".join(f"{tensor.name} {tensor.type}{tensor.shape}" for tensor in tensors)
        if len(tensors) == 1 and (tensors[0].name, tensors[0].type) == (name, "tensor(float)"):
            batch, *row = tensors[0].shape or [1]
            free, fixed = not isinstance(batch, int), all(isinstance(size, int) for size in row)
            if free and fixed and axes in {None, len(row)}:
                return tuple(row)
        raise ModelError(
            f"{self._where} needs one float32 tensor {name!r} with a free first axis and fixed "
            f"others, but has {found}; export it with a dynamic batch axis"
        )
