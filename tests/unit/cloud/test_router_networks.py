"""The multiplexer and the accept head as networks, before anything is fitted."""

import pytest
import torch

from nestling_cloud.models.router import AcceptHead, Multiplexer
from nestling_cloud.tasks import Signature

WINDOW = Signature(shape=[2, 16], classes=["a", "b", "c"])
PICTURE = Signature(shape=[1, 12, 12], classes=["a", "b", "c"])
CAPACITIES = 4


@pytest.fixture(params=[WINDOW, PICTURE], ids=["window", "picture"])
def signature(request: pytest.FixtureRequest) -> Signature:
    found: Signature = request.param
    return found


@torch.no_grad()
def test_success_is_being_right_and_being_affordable(signature: Signature) -> None:
    multiplexer = Multiplexer(signature, CAPACITIES).eval()
    inputs, budgets = torch.randn(5, *signature.shape), torch.rand(5, 6)

    success, right = multiplexer(inputs, budgets)

    assert success.shape == right.shape == (5, CAPACITIES + 1)
    assert torch.equal(right, multiplexer.right(inputs))
    expected = multiplexer.right(inputs) * multiplexer.affordable(budgets)
    assert torch.equal(success, expected)


@pytest.mark.parametrize("size", [0.0, 1e-30, 1.0, 1e6, 1e30])
@torch.no_grad()
def test_success_is_a_probability_for_extreme_inputs(signature: Signature, size: float) -> None:
    multiplexer = Multiplexer(signature, CAPACITIES).eval()
    sign = torch.randint(0, 2, (8, *signature.shape)) * 2.0 - 1.0

    for said in multiplexer(sign * size, torch.rand(8, 6).round()):
        assert ((said >= 0) & (said <= 1)).all()


@pytest.mark.parametrize("size", [0.0, 1e-30, 1.0, 1e6, 1e38])
@torch.no_grad()
def test_acceptance_is_a_probability_for_extreme_logits(size: float) -> None:
    accept_head = AcceptHead(3, CAPACITIES).eval()
    logits = size * torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])

    accepted = accept_head(logits, torch.rand(3, CAPACITIES + 1), torch.eye(CAPACITIES)[:3])

    assert accepted.shape == (3, CAPACITIES + 1)
    assert ((accepted >= 0) & (accepted <= 1)).all()


@torch.no_grad()
def test_acceptance_depends_on_how_sure_the_student_is_and_of_which_class() -> None:
    accept_head = AcceptHead(3, CAPACITIES).eval()
    logits = torch.tensor([[3.0, 1.0, 0.0]])
    others = (torch.full((1, CAPACITIES + 1), 0.5), torch.eye(CAPACITIES)[[1]])

    accepted = accept_head(logits, *others)

    assert not torch.allclose(accepted, accept_head(logits.roll(1, dims=1), *others))
    assert not torch.allclose(accepted, accept_head(logits * 2, *others))


@torch.no_grad()
def test_acceptance_does_not_depend_on_what_all_logits_have_in_common() -> None:
    accept_head = AcceptHead(3, CAPACITIES).eval()
    logits = torch.tensor([[3.0, 1.0, 0.0]])
    others = (torch.full((1, CAPACITIES + 1), 0.5), torch.eye(CAPACITIES)[[1]])

    assert torch.allclose(accept_head(logits, *others), accept_head(logits + 5, *others), atol=1e-6)


@torch.no_grad()
def test_accept_head_takes_any_number_of_classes() -> None:
    for classes in (2, 5, 12):
        accepted = AcceptHead(classes, 1)(
            torch.zeros(1, classes), torch.zeros(1, 2), torch.ones(1, 1)
        )

        assert accepted.shape == (1, 2)
