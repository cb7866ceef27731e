"""Runs a teacher that is not a torch network, but an ONNX model, as if it were one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from torch import nn

from nestling_cloud.cloud_model.model import INPUT, OUTPUT
from nestling_cloud.learning.onnx.adopt_onnx import AdoptedModel, adopt
from nestling_cloud.learning.onnx.model_ends import Expected
from nestling_cloud.learning.onnx.onnx_file import (
    OnnxTeacherError,
    named,
    open_model,
    runtime_reason,
)
from nestling_cloud.models.onnx_teacher import OnnxTeacher
from nestling_core.execution.session import quiet_run

if TYPE_CHECKING:
    import onnxruntime


@dataclass(frozen=True, kw_only=True)
class OnnxSource:
    """Where an ONNX model comes from, and what it is for.

    Attributes:
        where: the start of an error's text, which names the task and the teacher.
        read: a function that returns the model with all weights inside.
        ends: the names of input and output, and the normalization.
        shape: the shape of one input of the task.
        expected: what the task expects the model to answer.
    """

    where: str
    read: Callable[[], onnx.ModelProto]
    ends: OnnxTeacher
    shape: Sequence[int]
    expected: Expected

    @cached_property
    def adopted(self) -> AdoptedModel:
        """The model in the form that the cloud serves.

        Raises:
            OnnxTeacherError: the model cannot be used for the task.
        """
        with named(self.where):
            return adopt(self.read(), self.ends, self.shape, self.expected)


class OnnxNetwork(nn.Module):
    """A network that computes its answers in onnxruntime, and that cannot be trained.

    The model is read and changed to the served form when it is first used.

    Args:
        label: the name by which messages call the teacher.
        source: the model.
        digest: a hash of everything that the answers depend on, by which the cache of bundles
            distinguishes teachers.
    """

    def __init__(self, label: str, source: OnnxSource, digest: str) -> None:
        super().__init__()
        self._label = _Label(label)
        self.digest = digest
        self._source = source
        self._sessions: dict[int, onnxruntime.InferenceSession] = {}

    @property
    def label(self) -> str:
        """The name by which messages call the teacher."""
        return self._label.text

    @property
    def served(self) -> AdoptedModel:
        """The model in the form that the cloud serves.

        Raises:
            OnnxTeacherError: the model cannot be used for the task.
        """
        return self._source.adopted

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (N, O) for inputs (N, *shape).

        Raises:
            OnnxTeacherError: the model cannot be used for the task, or it fails.
        """
        rows = np.ascontiguousarray(x.detach().numpy(), np.float32)
        try:
            (logits,) = self._session().run([OUTPUT], {INPUT: rows}, quiet_run())
        except OnnxTeacherError:
            raise
        except Exception as err:  # onnxruntime's errors share no base
            reason = runtime_reason(str(err))
            raise OnnxTeacherError(
                f"{self._source.where} fails on {len(rows)} inputs: {reason}"
            ) from err
        return torch.from_numpy(logits)

    def _session(self) -> "onnxruntime.InferenceSession":
        threads = torch.get_num_threads()
        if threads not in self._sessions:
            model = onnx.load_from_string(self.served.onnx)
            self._sessions = {threads: open_model(model, threads)}
        return self._sessions[threads]


@dataclass(frozen=True)
class _Label:
    """A name that does not count as content of the network: another name is no other teacher."""

    text: str
