"""Fits the multiplexer and the accept head, and the prices that turn a wished share into routes.

Everything here learns from inputs that teacher and student did not train on: on their own training
data both look surer and better than they are. Prices come from the same inputs cross-wise: each
half is scored by networks that were fitted on the other half.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from nestling.admission import admitted_options
from nestling.budget import budget_vector
from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Calibration, OperatingPoint, RoutingCurve, Signature
from nestling_cloud.models.router import AcceptHead, Multiplexer
from nestling_cloud.progress import Progress, Silent
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.training import train

MULTIPLEXER_RECIPE = Recipe(epochs=12, batch=128, learning_rate=3e-3, weight_decay=0.05)
AFFORDABLE_RECIPE = Recipe(epochs=30, batch=256, learning_rate=2e-2, weight_decay=0.0)
SAMPLED_BUDGETS = 8192
ACCEPT_RECIPE = Recipe(epochs=12, batch=128, learning_rate=5e-3, weight_decay=0.05)
SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0)
# Part of the offloaded inputs that the multiplexer may send off unseen by a student. It judges
# worse than the accept head, but saves the student's run.
GATED_PART = 0.1

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class RoutingData:
    """What every option makes of the calibration inputs.

    Attributes:
        inputs: (N, *shape).
        logits: of each capacity, (K, N, classes).
        right: whether capacity 1 to K and the cloud are right, (N, K + 1).
    """

    inputs: Floats
    logits: Floats
    right: Bools

    def part(self, chosen: NDArray[np.intp]) -> "RoutingData":
        """The same for some of the inputs."""
        return RoutingData(
            inputs=self.inputs[chosen], logits=self.logits[:, chosen], right=self.right[chosen]
        )


@dataclass(frozen=True, kw_only=True)
class Router:
    """A fitted multiplexer and accept head."""

    multiplexer: Multiplexer
    accept_head: AcceptHead


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What the options need of a budget: bytes of memory for each capacity, bytes to offload."""

    memory_bytes: Sequence[int]
    offload_bytes: int


@torch.no_grad()
def believed_right(multiplexer: Multiplexer, inputs: Floats) -> Floats:
    """Multiplexer's probability that each option is right, (N, K + 1)."""
    found: Floats = multiplexer.right(torch.from_numpy(inputs)).numpy()
    return found


@torch.no_grad()
def acceptance(accept_head: nn.Module, logits: Floats, believed: Floats, capacity: int) -> Floats:
    """Accept head's probabilities (device, cloud) after one capacity (1 to K) ran, (N, 2)."""
    chosen = np.zeros((len(logits), believed.shape[1] - 1), np.float32)
    chosen[:, capacity - 1] = 1
    prior = believed[:, [capacity - 1, -1]]
    found: Floats = accept_head(
        torch.from_numpy(logits), torch.from_numpy(prior), torch.from_numpy(chosen)
    ).numpy()
    return found


def fit_router(signature: Signature, data: RoutingData, *, seed: int, progress: Progress) -> Router:
    """Fit what tells who is right, on inputs that the models did not train on.

    Args:
        signature: the task's inputs and classes.
        data: what every option made of those inputs.
        seed: initial weights and shuffling.
        progress: told every epoch.

    Returns:
        A router whose multiplexer knows nothing of budgets yet: see `fit_affordable`.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    multiplexer = _fit_multiplexer(signature, data, generator, progress)
    believed = believed_right(multiplexer, data.inputs)
    accept_head = _fit_accept_head(data, believed, generator, progress)
    return Router(multiplexer=multiplexer, accept_head=accept_head)


def _fit_multiplexer(
    signature: Signature, data: RoutingData, generator: torch.Generator, progress: Progress
) -> Multiplexer:
    multiplexer = Multiplexer(signature, len(data.logits))
    multiplexer.normalizer.fit(data.inputs)
    inputs = torch.from_numpy(data.inputs)
    right = torch.from_numpy(data.right.astype(np.float32))

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        return functional.binary_cross_entropy(multiplexer.right(inputs[indices]), right[indices])

    train(
        multiplexer,
        loss_of,
        count=len(inputs),
        recipe=MULTIPLEXER_RECIPE,
        generator=generator,
        progress=progress,
        what="multiplexer",
    )
    return multiplexer


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
        recipe=AFFORDABLE_RECIPE,
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


def _fit_accept_head(
    data: RoutingData, believed: Floats, generator: torch.Generator, progress: Progress
) -> AcceptHead:
    capacities, count, classes = data.logits.shape
    accept_head = AcceptHead(classes, capacities)
    logits = torch.from_numpy(data.logits.reshape(-1, classes))
    prior = torch.from_numpy(
        np.concatenate([believed[:, [index, -1]] for index in range(capacities)])
    )
    chosen = torch.eye(capacities).repeat_interleave(count, dim=0)
    device = torch.from_numpy(data.right[:, :capacities].T.reshape(-1).astype(np.float32))
    cloud = torch.from_numpy(np.tile(data.right[:, -1], capacities).astype(np.float32))
    target = torch.stack([device, cloud], 1)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        probabilities = accept_head(logits[indices], prior[indices], chosen[indices])
        return functional.binary_cross_entropy(probabilities, target[indices])

    train(
        accept_head,
        loss_of,
        count=len(logits),
        recipe=ACCEPT_RECIPE,
        generator=generator,
        progress=progress,
        what="accept head",
    )
    return accept_head


def calibrate(
    signature: Signature, data: RoutingData, *, seed: int, progress: Progress
) -> Calibration:
    """Find prices for a grid of wished offload shares, cross-wise over two halves.

    Returns:
        For each capacity the prices at which the wished share is offloaded, and the accuracy that
        then results.
    """
    count = len(data.inputs)
    halves = np.array_split(np.arange(count), 2)
    gains = np.empty((len(data.logits), 2, count), np.float32)
    for number, half in enumerate(progress.track(halves, 2, "prices of offloading")):
        router = fit_router(signature, data.part(halves[1 - number]), seed=seed, progress=Silent())
        believed = believed_right(router.multiplexer, data.inputs[half])
        for index, logits in enumerate(data.logits):
            accepted = acceptance(router.accept_head, logits[half], believed, index + 1)
            gains[index, 0, half] = believed[:, -1] - believed[:, index]
            gains[index, 1, half] = accepted[:, 1] - accepted[:, 0]
    return Calibration(
        curves=[
            RoutingCurve(
                points=[
                    operating_point(gate, accept, data.right[:, index], data.right[:, -1], share)
                    for share in SHARES
                ]
            )
            for index, (gate, accept) in enumerate(gains)
        ],
        inputs=count,
    )


def operating_point(
    gate: Floats, accept: Floats, device: Bools, cloud: Bools, share: float
) -> OperatingPoint:
    """Prices at which a share of inputs goes to the cloud.

    Args:
        gate: what the cloud is believed to be better by before a student runs, (N,).
        accept: the same after it ran, (N,).
        device: whether the device is right, (N,).
        cloud: whether the cloud is right, (N,).
        share: wished, 0 to 1.
    """
    gate_price = _price(gate, share * GATED_PART if share < 1 else 1.0)
    gated = gate > gate_price
    left = share * len(gate) - gated.sum()
    accept_price = _price(accept[~gated], left / max((~gated).sum(), 1))
    offloaded = gated | (accept > accept_price)
    return OperatingPoint(
        offload_share=share,
        gate_price=gate_price,
        accept_price=accept_price,
        accuracy=float(np.where(offloaded, cloud, device).mean()),
    )


def _price(gains: Floats, share: float) -> float:
    """The price that a share of the gains exceeds; gains lie in [-1, 1]."""
    if share <= 0 or len(gains) == 0:
        return 1.0
    if share >= 1:
        return -1.0 - 1e-6
    return float(np.quantile(gains, 1 - share))
