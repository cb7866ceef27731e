"""A nested student's weights as named arrays, their prefixes, and a file format for them.

Names are those of torch's state dictionary. Every array of a capacity's prefix is a box of the
whole array that starts at the origin. The prefix lacks the normalization arrays of larger
capacities.
"""

import io
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_core.parsing.untrusted import UnreadableError, load_arrays
from nestling_core.student.config import StudentConfig
from nestling_core.student.network import NestedStudent
from nestling_core.student.plan import head_shape, plan

Arrays = Mapping[str, NDArray[np.float32]]

_NORMALIZER = ("normalizer.mean", "normalizer.deviation")
VARIANCE = "running_var"


class WeightsError(ValueError):
    """Arrays that do not belong to the student, or bytes that cannot be read as arrays."""


def prefix_shapes(
    signature: Signature, config: StudentConfig, capacity: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all arrays of capacities 1 to `capacity`, by name.

    Args:
        signature: shape and classes of the task.
        config: sizes of the student.
        capacity: largest capacity of the prefix, 1 to K.
    """
    channels, *axes = signature.shape
    layers, classes = plan(signature, config), len(signature.classes)
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        where = f"layers.{layer.index}"
        shapes |= {f"{where}.{name}": shape for name, shape in layer.weights(capacity).items()}
        for smaller in range(1, capacity + 1):
            own = layer.own(smaller)
            shapes |= {f"{where}.capacities.{smaller - 1}.{name}": own[name] for name in own}
    normalizer = (1, channels, *(1,) * len(axes))
    return shapes | {
        "head": head_shape(layers[-1], classes, capacity),
        "head_offsets": (capacity, classes),
        **dict.fromkeys(_NORMALIZER, normalizer),
    }


def trained_shapes(
    signature: Signature, config: StudentConfig, capacity: int
) -> dict[str, tuple[int, ...]]:
    """Return the `prefix_shapes` that training changes: all but the input normalization's.

    Args:
        signature: shape and classes of the task.
        config: sizes of the student.
        capacity: largest capacity of the prefix, 1 to K.
    """
    shapes = prefix_shapes(signature, config, capacity)
    return {name: shape for name, shape in shapes.items() if name not in _NORMALIZER}


def take(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """Cut boxes of the given shapes out of larger arrays.

    Args:
        arrays: arrays by name.
        shapes: shape of the box to cut, for each name.

    Returns:
        C-contiguous copies by name.
    """
    return {
        name: np.ascontiguousarray(arrays[name][tuple(map(slice, shape))])
        for name, shape in shapes.items()
    }


def check_arrays(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check the names, shapes, types and values of arrays.

    Args:
        arrays: arrays by name.
        shapes: expected shapes by name.

    Raises:
        WeightsError: a name, shape or type is wrong, a value is not finite, or a variance is
            negative.
    """
    if arrays.keys() != shapes.keys():
        odd = sorted(arrays.keys() ^ shapes.keys())
        raise WeightsError(f"the arrays have wrong names: {', '.join(odd[:3])}")
    for name, array in arrays.items():
        if array.dtype != np.float32:
            raise WeightsError(f"{name} is {array.dtype}, not float32")
        if array.shape != shapes[name]:
            raise WeightsError(f"{name} has shape {list(array.shape)}, not {list(shapes[name])}")
        if not np.isfinite(array).all():
            raise WeightsError(f"{name} has values that are not finite")
        if name.endswith(VARIANCE) and (array < 0).any():
            raise WeightsError(f"{name} has a negative variance")


def arrays_of(student: NestedStudent) -> dict[str, NDArray[np.float32]]:
    """Return copies of all arrays of a student, by name."""
    return {name: value.detach().numpy().copy() for name, value in student.state_dict().items()}


@torch.no_grad()
def load_prefix(student: NestedStudent, arrays: Arrays) -> None:
    """Load a prefix's arrays into a student, and leave the rest of its weights unchanged.

    Args:
        student: the student to change.
        arrays: arrays by name, each a box from the origin of the student's own.
    """
    held = student.state_dict()
    for name, array in arrays.items():
        held[name][tuple(map(slice, array.shape))] = torch.from_numpy(array)


def student_of(signature: Signature, config: StudentConfig, arrays: Arrays) -> NestedStudent:
    """Make a student in evaluation mode from all its arrays.

    Args:
        signature: shape and classes of the task.
        config: sizes of the student.
        arrays: all arrays by name.

    Raises:
        WeightsError: the arrays do not fit the student.
    """
    check_arrays(arrays, prefix_shapes(signature, config, config.capacities))
    student = NestedStudent(signature, config)
    load_prefix(student, arrays)
    return student.eval()


def write_arrays(arrays: Arrays) -> bytes:
    """Serialize arrays as a .npz file; equal arrays give equal bytes."""
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub confuses names with a flag
    return file.getvalue()


def read_arrays(data: bytes) -> dict[str, NDArray[np.float32]]:
    """Read arrays that `write_arrays` wrote, without ever unpickling anything.

    Raises:
        WeightsError: the data is damaged, or is not a .npz file.
    """
    try:
        return load_arrays(data)
    except UnreadableError as err:
        raise WeightsError(str(err)) from err
