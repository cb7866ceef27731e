"""Teaches the multiplexer which options a budget admits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from nestling.admission import admitted_options
from nestling.budget import budget_vector
from nestling.v1.budget_pb2 import Budget
from nestling_cloud.models.router import Multiplexer
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.training import train

RECIPE = Recipe(epochs=30, batch=256, learning_rate=2e-2, weight_decay=0.0)
SAMPLED_BUDGETS = 8192


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What the options need of a budget: bytes of memory for each capacity, bytes to offload."""

    memory_bytes: Sequence[int]
    offload_bytes: int


def fit_affordable(
    multiplexer: Multiplexer, costs: Costs, *, seed: int, progress: Progress
) -> None:
    """Teach a multiplexer, in place, which options a budget admits.

    It learns from made-up budgets around the points where options become affordable, on a
    logarithmic scale.
    """
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    budgets = [_sample_budget(costs, rng) for _ in range(SAMPLED_BUDGETS)]
    vectors = torch.from_numpy(np.stack([budget_vector(budget) for budget in budgets]))
    admitted = torch.tensor(
        [admitted_options(costs.memory_bytes, costs.offload_bytes, budget) for budget in budgets],
        dtype=torch.float32,
    )

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        affordable = multiplexer.affordable(vectors[indices])
        return functional.binary_cross_entropy(affordable, admitted[indices])

    train(
        multiplexer.affordable_body,
        loss_of,
        count=SAMPLED_BUDGETS,
        recipe=RECIPE,
        generator=generator,
        progress=progress,
        what="multiplexer: budgets",
    )


def _sample_budget(costs: Costs, rng: np.random.Generator) -> Budget:
    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    near = float(rng.choice(costs.memory_bytes)) * between(0.8, 1.25)
    anywhere = between(costs.memory_bytes[0] / 2, costs.memory_bytes[-1] * 8)
    return Budget(
        memory_bytes=int(near if rng.random() < 0.5 else anywhere),
        latency_ms=between(5, 5e3),
        energy_mj=between(0.1, 1e3),
        link_mbit_s=0.0 if rng.random() < 0.1 else between(0.01, 50),
        battery=rng.random(),
        offload_share=rng.random(),
    )
