"""Describes an input that a device sent, with the answers to it as they came over the wire.

The answers can be interpreted only with the kind of the task, which the released bundle defines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling import offload_parameters, topics
from nestling.inference.v2.inference_pb2 import ModelInferRequest
from nestling_cloud.store.hard_inputs import HardInput
from nestling_core.kinds.kind import Answer, Kind, agree, answer_of

Rows = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class OfferedInput:
    """An input that may be stored, if the released bundle allows it.

    Attributes:
        device: the id of the device that sent the input.
        received_at_ms: the Unix time at which the input arrived.
        input_index: the input's position in the device's source.
        values: the input's values as little-endian float32 in C order.
        shape: the shape of the values, without the batch axis.
        device_answer: the device's own answer, as the device says; None if no student ran.
        outputs: the outputs of the teacher for the input.
        audited: whether the input was drawn at random for an audit, rather than sent because it
            was hard.
    """

    device: str
    received_at_ms: int
    input_index: int
    values: bytes
    shape: tuple[int, ...]
    device_answer: Answer | None
    outputs: Sequence[float]
    audited: bool

    def hard_input(self, task: str, kind: Kind) -> HardInput | None:
        """Return the input as it is stored.

        Args:
            task: the name of the task.
            kind: the kind of the task.

        Returns:
            The input, or None if one of the answers is not possible in the task.
        """
        if len(self.outputs) != kind.teacher_outputs:
            return None  # of a model that was released before
        cloud = answer_of(kind, np.array(self.outputs, np.float32))
        device = self.device_answer
        if not kind.is_valid(cloud) or (device is not None and not kind.is_valid(device)):
            return None
        return HardInput(
            device=self.device,
            task=task,
            received_at_ms=self.received_at_ms,
            input_index=self.input_index,
            values=self.values,
            shape=self.shape,
            device_answer=device,
            cloud_answer=cloud,
            agrees=None if device is None else agree(kind, device, cloud),
            audited=self.audited,
        )


def offered_input(
    request: ModelInferRequest, rows: Rows, outputs: Rows, *, now_ms: int
) -> OfferedInput | None:
    """Return the input of a request, with the answers to it.

    Args:
        request: the request as received.
        rows: the request's inputs, of the shape `(N, *shape)`.
        outputs: the teacher's outputs, of the shape `(N, O)`.
        now_ms: the current Unix time.

    Returns:
        The input, or None if the request has several inputs, names no valid device or no input
        index, or contains a device's answer that cannot be read.
    """
    given = request.parameters
    if (
        len(rows) != 1
        or offload_parameters.DEVICE_ID not in given
        or offload_parameters.INPUT_INDEX not in given
    ):
        return None
    try:
        device = topics.check_device_id(given[offload_parameters.DEVICE_ID].string_param)
        answer = _device_answer(request)
    except ValueError:
        return None
    return OfferedInput(
        device=device,
        received_at_ms=now_ms,
        input_index=max(given[offload_parameters.INPUT_INDEX].int64_param, 0),
        values=rows[0].astype("<f4").tobytes(),
        shape=rows.shape[1:],
        device_answer=answer,
        outputs=outputs[0].tolist(),
        audited=_is_audit(request),
    )


def _device_answer(request: ModelInferRequest) -> Answer | None:
    """Return the device's answer in a request, or None without one.

    Raises:
        ValueError: its values are not numbers.
    """
    given = request.parameters
    if offload_parameters.DEVICE_ANSWER not in given:
        return None
    values: tuple[float, ...] = ()
    if offload_parameters.DEVICE_VALUES in given:
        text = given[offload_parameters.DEVICE_VALUES].string_param
        values = offload_parameters.values_in(text)
    return Answer(given[offload_parameters.DEVICE_ANSWER].int64_param, values)


def _is_audit(request: ModelInferRequest) -> bool:
    given = request.parameters
    return offload_parameters.AUDIT in given and given[offload_parameters.AUDIT].bool_param
