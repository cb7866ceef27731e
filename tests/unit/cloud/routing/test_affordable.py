import numpy as np
import pytest
import torch
from tests.loudness import SIGNATURE, Hardness, loud_and_quiet

from nestling.admission import admitted_options
from nestling.budget import budget_vector
from nestling.v1.budget_pb2 import Budget
from nestling_cloud.models.router import Multiplexer
from nestling_cloud.progress import Silent
from nestling_cloud.routing import Costs, believed_right, fit_affordable, fit_router
from nestling_cloud.routing.data import Floats


@pytest.fixture(scope="module")
def known() -> Hardness:
    return loud_and_quiet(400, seed=0)


def test_multiplexer_learns_what_a_budget_admits() -> None:
    multiplexer = Multiplexer(SIGNATURE, 3)
    costs = Costs(memory_bytes=[8_000, 16_000, 64_000], offload_bytes=2_700)
    # Clear of every border by a factor of 1.5 or more.
    memories = (4_000, 11_000, 30_000, 200_000)
    links = ((0.0, 0.0), (0.01, 10.0), (20.0, 10.0))
    budgets = [
        Budget(memory_bytes=m, latency_ms=300, energy_mj=10, link_mbit_s=speed, link_rtt_ms=rtt)
        for m in memories
        for speed, rtt in links
    ]

    fit_affordable(multiplexer, costs, seed=0, progress=Silent())

    vectors = np.stack([budget_vector(budget) for budget in budgets])
    found = affordable(multiplexer, vectors) > 0.5
    expected = [admitted_options(costs.memory_bytes, costs.offload_bytes, b) for b in budgets]
    assert found.tolist() == expected


def affordable(multiplexer: Multiplexer, vectors: Floats) -> Floats:
    found: Floats = multiplexer.affordable(torch.from_numpy(vectors)).detach().numpy()
    return found


def test_learning_budgets_leaves_alone_what_the_multiplexer_knows_of_inputs(
    known: Hardness,
) -> None:
    fitted = fit_router(SIGNATURE, known.data.part(np.arange(200)), seed=0, progress=Silent())
    before = believed_right(fitted.multiplexer, known.data.inputs)

    costs = Costs(memory_bytes=[1000, 2000], offload_bytes=500)
    fit_affordable(fitted.multiplexer, costs, seed=0, progress=Silent())

    assert np.array_equal(before, believed_right(fitted.multiplexer, known.data.inputs))
