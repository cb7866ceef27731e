"""Makes stored inputs of the hand-made bundle's shape, for tests of labels and exports."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from nestling_cloud.store.hard_inputs import HardInput, HardInputs
from nestling_cloud.store.labeled_inputs import InputFilter, LabeledInputs
from nestling_cloud.store.store import Store
from nestling_core.kinds.kind import Answer

NOON_MS = 1_796_040_000_000  # 2026-11-30 12:00 UTC


def stored_input(
    values: ArrayLike,
    *,
    device: str = "porch",
    task: str = "hand",
    index: int = 0,
    at_ms: int = NOON_MS,
    answers: tuple[Answer | int | None, Answer | int] = (0, 2),
    agrees: bool | None = None,
) -> HardInput:
    """Make an input.

    Args:
        values: the values.
        device: id of the device.
        task: name of the task.
        index: position in the device's source.
        at_ms: time of arrival.
        answers: the device's and the cloud's answer, or their codes.
        agrees: whether they agree.
    """
    array = np.asarray(values, "<f4")
    own, reference = (Answer(one) if isinstance(one, int) else one for one in answers)
    assert reference is not None
    return HardInput(
        device=device,
        task=task,
        received_at_ms=at_ms,
        input_index=index,
        values=array.tobytes(),
        shape=array.shape,
        device_answer=own,
        cloud_answer=reference,
        agrees=agrees,
    )


def store_inputs(store: Store, inputs: Sequence[HardInput]) -> list[int]:
    """Store inputs, and return the ids of all stored inputs, oldest first."""
    HardInputs(store).add_all(inputs)
    return sorted(one.id for one in LabeledInputs(store).all(InputFilter()))
