"""Reads, writes and cuts the weights of a nested student as named arrays.

The names are those in torch's state dictionary. The prefix of a capacity is the part of the arrays
that this capacity and all smaller ones use. In each array, this part starts at the origin. Arrays
that only larger capacities use, such as their normalizations, are left out.
"""

import io
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_core.kinds.of_signature import kind_of
from nestling_core.kinds.regression import Regression
from nestling_core.parsing.untrusted_data import UnreadableError, load_arrays
from nestling_core.student.config import StudentConfig
from nestling_core.student.network import NestedStudent
from nestling_core.student.plan import head_shape, plan

Arrays = Mapping[str, NDArray[np.float32]]

_NORMALIZER = ("normalizer.mean", "normalizer.deviation")
_OUTPUT_SCALE = ("output_scale.center", "output_scale.spread")
VARIANCE = "running_var"


class WeightsError(ValueError):
    """Raised when arrays do not fit a student, or when bytes cannot be read as arrays."""


def prefix_shapes(
    signature: Signature, config: StudentConfig, capacity: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all arrays of capacities 1 to `capacity`, keyed by name.

    Args:
        signature: the task's input shape and kind.
        config: the sizes of the student.
        capacity: the largest capacity of the prefix, 1 to K.

    Raises:
        SizesError: the blocks do not fit each other, or do not fit the signature.
    """
    channels, *axes = config.read_shape(signature.shape)
    layers, kind = plan(signature, config), kind_of(signature)
    outputs = kind.student_outputs
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        where = f"layers.{layer.index}"
        shapes |= {f"{where}.{name}": shape for name, shape in layer.weights(capacity).items()}
        for smaller in range(1, capacity + 1):
            own = layer.own(smaller)
            shapes |= {f"{where}.capacities.{smaller - 1}.{name}": own[name] for name in own}
    normalizer = (1, channels, *(1,) * len(axes))
    return shapes | {
        "head": head_shape(layers[-1], outputs, capacity),
        "head_offsets": (capacity, outputs),
        **dict.fromkeys(_NORMALIZER, normalizer),
        **(dict.fromkeys(_OUTPUT_SCALE, (outputs,)) if isinstance(kind, Regression) else {}),
    }


def trained_shapes(
    signature: Signature, config: StudentConfig, capacity: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays that training changes, for capacities 1 to `capacity`.

    These are the `prefix_shapes` without the arrays that scale inputs and outputs.

    Args:
        signature: the task's input shape and kind.
        config: the sizes of the student.
        capacity: the largest capacity of the prefix, 1 to K.

    Raises:
        SizesError: the blocks do not fit each other, or do not fit the signature.
    """
    shapes = prefix_shapes(signature, config, capacity)
    fixed = {*_NORMALIZER, *_OUTPUT_SCALE}
    return {name: shape for name, shape in shapes.items() if name not in fixed}


def take(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """Return the part of each array that starts at the origin and has the given shape.

    Args:
        arrays: a mapping from name to array.
        shapes: a mapping from name to the shape of the part. Arrays without an entry are left out.

    Returns:
        A mapping from each name in `shapes` to the part, C-contiguous.
    """
    return {
        name: np.ascontiguousarray(arrays[name][tuple(map(slice, shape))])
        for name, shape in shapes.items()
    }


def check_arrays(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise WeightsError if arrays do not have the expected names, shapes, types and values.

    Args:
        arrays: a mapping from name to array.
        shapes: a mapping from each expected name to the expected shape.

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
    """Return copies of all arrays of a student, which must be on the CPU, keyed by name."""
    return {name: value.detach().numpy().copy() for name, value in student.state_dict().items()}


@torch.no_grad()
def load_prefix(student: NestedStudent, arrays: Arrays) -> None:
    """Load the arrays of a prefix into a student, and leave its other weights unchanged.

    Args:
        student: the student to change.
        arrays: a mapping from name to array. Each array replaces the part of the student's array
            that starts at the origin and has the same shape.
    """
    held = student.state_dict()
    for name, array in arrays.items():
        held[name][tuple(map(slice, array.shape))] = torch.from_numpy(array)


def student_of(signature: Signature, config: StudentConfig, arrays: Arrays) -> NestedStudent:
    """Return a student in evaluation mode that has the given arrays.

    Args:
        signature: the task's input shape and kind.
        config: the sizes of the student.
        arrays: a mapping from name to array, with all arrays of the student.

    Raises:
        WeightsError: the arrays do not fit the student.
    """
    check_arrays(arrays, prefix_shapes(signature, config, config.capacities))
    student = NestedStudent(signature, config)
    load_prefix(student, arrays)
    return student.eval()


def write_arrays(arrays: Arrays) -> bytes:
    """Return arrays as the content of a .npz file.

    The same arrays with the same names, in the same order, always result in the same bytes.
    """
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub confuses names with a flag
    return file.getvalue()


def read_arrays(data: bytes) -> dict[str, NDArray[np.float32]]:
    """Return the arrays that `write_arrays` wrote, keyed by name.

    Nothing in the data is ever unpickled.

    Raises:
        WeightsError: the data is damaged, too large, or not a .npz file.
    """
    try:
        return load_arrays(data)
    except UnreadableError as err:
        raise WeightsError(str(err)) from err
