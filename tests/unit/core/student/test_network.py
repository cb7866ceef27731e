import pytest
import torch

from nestling_cloud.tasks import Signature
from nestling_core.nest.layout import check_layout
from nestling_core.student.config import conv_student
from nestling_core.student.network import NestedStudent
from nestling_core.student.normalization import CapacityNorm
from nestling_core.student.plan import layout

WINDOW = Signature(shape=[2, 16], classes=["a", "b", "c"])
PICTURE = Signature(shape=[1, 9, 12], classes=["a", "b"])
CONFIG = conv_student(channels=(6, 8), strides=(2, 1), fractions=(0.25, 0.5, 1.0))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channels": (4,), "strides": (1, 1)}, "as many strides as channels"),
        ({"channels": (), "strides": ()}, "at least one layer"),
        ({"channels": (4,), "strides": (1,), "kernel": 4}, "kernel 4: use an odd length"),
        ({"channels": (4,), "strides": (1,), "fractions": (0.5, 0.25, 1.0)}, "must rise"),
        ({"channels": (4,), "strides": (1,), "fractions": (0.5, 0.5, 1.0)}, "must rise"),
        ({"channels": (4,), "strides": (1,), "fractions": (0.5,)}, "end at 1"),
        ({"channels": (4,), "strides": (1,), "fractions": (0.0, 1.0)}, "must rise"),
    ],
)
def test_sizes_that_do_not_form_a_nest_are_refused(
    fields: dict[str, tuple[int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        conv_student(**fields)  # type: ignore[arg-type]  # one dictionary for several types


def test_widths_are_shares_of_the_channels_rounded_up() -> None:
    assert [CONFIG.widths_at(k) for k in (1, 2, 3)] == [(2, 2), (3, 4), (6, 8)]


def test_layout_has_one_prefix_for_each_capacity_and_nests() -> None:
    tensors = layout(WINDOW, CONFIG)

    check_layout(tensors)
    shapes = {tensor.name: [list(p.shape) for p in tensor.prefixes] for tensor in tensors}
    assert shapes == {
        "layer0.weight": [[2, 2, 3], [3, 2, 3], [6, 2, 3]],
        "layer1.weight": [[2, 2, 3], [4, 3, 3], [8, 6, 3]],
        "head.weight": [[3, 2], [3, 4], [3, 8]],
    }


@pytest.mark.parametrize("signature", [WINDOW, PICTURE], ids=["window", "picture"])
def test_every_capacity_answers_with_logits(signature: Signature) -> None:
    student = NestedStudent(signature, CONFIG).eval()

    for capacity in (1, 2, 3):
        logits = student(torch.zeros(5, *signature.shape), capacity)

        assert logits.shape == (5, len(signature.classes))


@pytest.mark.parametrize("signature", [WINDOW, PICTURE], ids=["window", "picture"])
@torch.no_grad()
def test_capacity_does_not_see_weights_beyond_its_prefix(signature: Signature) -> None:
    student = NestedStudent(signature, CONFIG).eval()
    inputs = torch.randn(4, *signature.shape, generator=torch.Generator().manual_seed(0))
    prefixes = {tensor.name: tensor.prefixes for tensor in layout(signature, CONFIG)}
    weights = student.nested_weights()
    before = {capacity: student(inputs, capacity) for capacity in (1, 2, 3)}

    for name, weight in weights.items():  # replace everything beyond capacity 2 with noise
        box = tuple(slice(0, length) for length in prefixes[name][1].shape)
        kept = weight[box].clone()
        weight.copy_(torch.randn_like(weight))
        weight[box] = kept

    assert torch.equal(before[1], student(inputs, 1))
    assert torch.equal(before[2], student(inputs, 2))
    assert not torch.allclose(before[3], student(inputs, 3))


@torch.no_grad()
def test_folded_gain_and_offset_equal_the_normalization() -> None:
    norm = CapacityNorm(3)
    generator = torch.Generator().manual_seed(1)
    for values in (norm.log_gain, norm.offset, norm.running_mean):
        values.copy_(torch.randn(3, generator=generator))
    norm.running_var.copy_(torch.tensor([0.1, 1.0, 9.0]))
    inputs = torch.randn(4, 3, 5, generator=generator)

    gain, offset = norm.eval().folded()

    expected = norm(inputs)
    assert torch.allclose(inputs * gain[:, None] + offset[:, None], expected, atol=1e-5)
    assert (gain > 0).all()


@torch.no_grad()
def test_features_are_every_layers_output_and_their_mean_over_the_window() -> None:
    student = NestedStudent(WINDOW, CONFIG).eval()

    *outputs, pooled = student.features(torch.zeros(4, 2, 16), 2)

    assert [tuple(output.shape) for output in outputs] == [(4, 3, 8), (4, 4, 8)]
    assert torch.allclose(pooled, outputs[-1].mean(2))
    assert all((output >= 0).all() for output in outputs)
