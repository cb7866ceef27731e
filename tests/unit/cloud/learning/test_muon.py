import pytest
import torch
from torch import nn

from nestling_cloud.learning.loop import seeded, train
from nestling_cloud.learning.muon import Muon, orthogonal
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Recipe


@pytest.mark.parametrize("shape", [(8, 8), (4, 27), (27, 4), (1, 9)])
def test_orthogonal_keeps_singular_vectors_and_evens_out_singular_values(
    shape: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)

    found = left.T @ orthogonal(matrix) @ right.T

    sizes = found.diagonal()
    assert ((sizes > 0.6) & (sizes < 1.3)).all()
    assert torch.allclose(found, torch.diag(sizes), atol=1e-4)


def test_rows_and_columns_of_zeros_stay_zero() -> None:
    matrix = torch.zeros(6, 12)
    matrix[:3, :5] = torch.arange(1.0, 16).reshape(3, 5).sin()

    found = orthogonal(matrix)

    assert found[:3, :5].abs().min() > 0
    assert found[3:].abs().sum() + found[:, 5:].abs().sum() == 0


def test_zero_matrix_stays_zero() -> None:
    assert orthogonal(torch.zeros(3, 4)).abs().sum() == 0


def test_step_has_the_size_of_an_adamw_step() -> None:
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.zeros(64, 32, 3, 3))
    kernel.grad = 1e-6 * torch.randn_like(kernel)  # its size does not matter

    Muon([kernel], lr=0.5, weight_decay=0.0).step()

    assert kernel.square().mean().sqrt().item() == pytest.approx(0.2 * 0.5, rel=0.3)


def test_decay_is_decoupled_from_the_gradient() -> None:
    kernel = nn.Parameter(torch.ones(2, 2, 3))
    kernel.grad = torch.zeros_like(kernel)

    Muon([kernel], lr=0.5, weight_decay=0.1).step()

    assert torch.allclose(kernel, torch.full_like(kernel, 0.95))


def test_kernel_without_a_gradient_stays() -> None:
    kernel = nn.Parameter(torch.ones(2, 2, 3))

    Muon([kernel], lr=0.5, weight_decay=0.1).step()

    assert torch.equal(kernel, torch.ones_like(kernel))


def _learn(optimizer: str) -> tuple[nn.Module, float]:
    generator = seeded(0)
    network = nn.Sequential(nn.Conv1d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    inputs = torch.randn(256, 3, 8)
    labels = (inputs[:, 0, :4].sum(1) > inputs[:, 1, 4:].sum(1)).long()

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        return nn.functional.cross_entropy(network(inputs[indices]), labels[indices])

    recipe = Recipe(epochs=8, batch=32, learning_rate=0.02, optimizer=optimizer)  # type: ignore[arg-type]
    train(
        network,
        loss_of,
        count=len(inputs),
        recipe=recipe,
        generator=generator,
        progress=SilentProgress(),
        what="sides",
    )
    with torch.no_grad():
        return network, loss_of(torch.arange(256), 0).item()


def test_recipe_chooses_the_optimizer_and_both_learn() -> None:
    by_muon, loss = _learn("muon")
    by_adamw, other = _learn("adamw")

    assert max(loss, other) < 0.4
    assert any(
        not torch.equal(one, another)
        for one, another in zip(by_muon.parameters(), by_adamw.parameters(), strict=True)
    )


def test_same_seed_gives_the_same_weights_with_muon() -> None:
    first, second = (_learn("muon")[0].state_dict() for _ in range(2))

    assert all(torch.equal(first[name], second[name]) for name in first)
