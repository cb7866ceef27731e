import io

import numpy as np
import pytest
import torch

from nestling.v1.bundle_pb2 import Signature
from nestling_core.student.config import conv_student
from nestling_core.student.network import NestedStudent
from nestling_core.student.weights import (
    Arrays,
    WeightsError,
    arrays_of,
    check_arrays,
    load_prefix,
    prefix_shapes,
    read_arrays,
    student_of,
    take,
    trained_shapes,
    write_arrays,
)

WINDOW = Signature(shape=[2, 16], classes=["a", "b", "c"])
PICTURE = Signature(shape=[1, 9, 12], classes=["a", "b"])
CONFIG = conv_student(channels=(5, 7), strides=(2, 1), fractions=(0.3, 0.5, 1.0))


def student(signature: Signature = WINDOW, seed: int = 0) -> NestedStudent:
    torch.manual_seed(seed)
    network = NestedStudent(signature, CONFIG)
    with torch.no_grad():
        for value in network.state_dict().values():
            value.copy_(torch.rand(value.shape) + 0.1)
    return network.eval()


@pytest.mark.parametrize("signature", [WINDOW, PICTURE])
def test_largest_prefix_is_the_whole_student(signature: Signature) -> None:
    whole = {name: array.shape for name, array in arrays_of(student(signature)).items()}

    assert whole == prefix_shapes(signature, CONFIG, 3)


@pytest.mark.parametrize("capacity", [1, 2, 3])
@pytest.mark.parametrize("signature", [WINDOW, PICTURE])
@torch.no_grad()
def test_prefix_has_everything_that_its_capacities_need(
    signature: Signature, capacity: int
) -> None:
    sender, receiver = student(signature, 0), student(signature, 1)
    inputs = torch.randn(3, *signature.shape)

    load_prefix(receiver, take(arrays_of(sender), prefix_shapes(signature, CONFIG, capacity)))

    for smaller in range(1, capacity + 1):
        assert torch.equal(sender(inputs, smaller), receiver(inputs, smaller))
    for larger in range(capacity + 1, 4):
        assert not torch.equal(sender(inputs, larger), receiver(inputs, larger))


def test_prefix_of_a_small_capacity_is_smaller() -> None:
    sizes = [
        sum(array.nbytes for array in take(arrays_of(student()), shapes).values())
        for shapes in (prefix_shapes(WINDOW, CONFIG, capacity) for capacity in (1, 2, 3))
    ]

    assert sizes == sorted(set(sizes))
    assert sizes[0] < sizes[-1] / 2


def test_loading_an_unchanged_prefix_changes_nothing() -> None:
    before = arrays_of(student())
    network = student_of(WINDOW, CONFIG, before)

    load_prefix(network, take(before, trained_shapes(WINDOW, CONFIG, 2)))

    after = arrays_of(network)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_input_normalization_is_sent_and_not_trained() -> None:
    sent = prefix_shapes(WINDOW, CONFIG, 1).keys() - trained_shapes(WINDOW, CONFIG, 1).keys()

    assert sent == {"normalizer.mean", "normalizer.deviation"}


def broken(name: str, array: object) -> Arrays:
    return {**arrays_of(student()), name: np.asarray(array)}


HEAD = np.ones((3, 7), np.float32)
WRONG = {
    "name": ({**arrays_of(student()), "other": HEAD}, "wrong names: other"),
    "missing": ({"head": HEAD}, "wrong names"),
    "integers": (broken("head", HEAD.astype(np.int32)), "head is int32, not float32"),
    "double": (broken("head", HEAD.astype(np.float64)), "head is float64"),
    "shape": (broken("head", HEAD.T), r"head has shape \[7, 3\], not \[3, 7\]"),
    "nan": (broken("head", HEAD * np.nan), "head has values that are not finite"),
    "infinite": (broken("head", HEAD * np.inf), "head has values that are not finite"),
    "variance": (
        broken("layers.0.capacities.0.running_var", -np.ones(2, np.float32)),
        "running_var has a negative variance",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_do_not_fit_the_student_are_refused(case: str) -> None:
    arrays, message = WRONG[case]

    with pytest.raises(WeightsError, match=message):
        check_arrays(arrays, prefix_shapes(WINDOW, CONFIG, 3))


def test_arrays_survive_their_file_and_equal_arrays_give_equal_bytes() -> None:
    arrays = arrays_of(student())
    data = write_arrays(arrays)

    loaded = read_arrays(data)

    assert loaded.keys() == arrays.keys()
    assert all(np.array_equal(loaded[name], arrays[name]) for name in arrays)
    assert data == write_arrays(arrays)


def test_other_file_is_refused_and_never_unpickled() -> None:
    pickled = io.BytesIO()
    np.savez(pickled, head=np.array([{"a": 1}], dtype=object))

    for data in (b"", b"nonsense", write_arrays(arrays_of(student()))[:-40], pickled.getvalue()):
        with pytest.raises(WeightsError, match="not readable as arrays"):
            read_arrays(data)
