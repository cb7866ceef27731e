"""What routing itself takes, and what it saves: time, bytes, energy, the cloud's work."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from learning_rounding import as_bytes
from nestling.admission import offload_bytes
from nestling.budget import BUDGET_FIELDS
from nestling.nest import assemble
from nestling.session import open_session
from nestling.student.plan import layout
from nestling_cloud.export import export_onnx
from nestling_cloud.latency.measure import medians_us
from nestling_cloud.macs import network_macs
from nestling_cloud.routing import Router
from nestling_device.energy.profile import load_board, load_link
from routing_curves import OURS, Split, accuracies
from routing_worlds import World

_SECONDS = 2.0
_BOARD, _LINK = "pi-4b", "wifi"
CONFIDENCE = ("max-softmax", "margin", "entropy", "scaled softmax", "Sedna cross entropy")
_FINE = np.arange(0, 1.0001, 0.0025)
# The share at which energies are compared.
_AT = 0.2


@dataclass(frozen=True, kw_only=True)
class RouterCost:
    """Multiplexer and accept head beside the smallest capacity.

    Attributes:
        microseconds: one run of the multiplexer, of the accept head, of the smallest capacity.
        size: bytes of their ONNX models; of the smallest capacity, template and weights.
    """

    microseconds: tuple[float, float, float]
    size: tuple[int, int, int]


def router_cost(world: World, router: Router) -> RouterCost:
    """Time the router's networks against the smallest capacity, in turns."""
    shape, classes = list(world.task.signature.shape), len(world.task.signature.classes)
    before = export_onnx(
        router.multiplexer,
        [torch.zeros(2, *shape), torch.zeros(2, len(BUDGET_FIELDS))],
        input_names=["input", "budget"],
        output_names=["success", "right"],
    )
    after = export_onnx(
        router.accept_head,
        [torch.zeros(2, n) for n in (classes, world.test.capacities + 1, world.test.capacities)],
        input_names=["logits", "right", "capacity"],
        output_names=["accept"],
    )
    template, ring = as_bytes(world.rounded["template"])[0], as_bytes(world.rounded["ring"])[0]
    smallest = open_session(
        template, assemble(layout(world.task.signature, world.task.student), [ring])
    )
    times = medians_us([open_session(before), open_session(after), smallest], seconds=_SECONDS)
    return RouterCost(
        microseconds=(times[0], times[1], times[2]),
        size=(len(before), len(after), len(template) + len(ring)),
    )


def cloud_saving(world: World, split: Split, index: int) -> float:
    """How many times less the cloud computes than alone, at its accuracy; 1 where never."""
    right = world.test.right
    return saving(split.urgencies[OURS][index], right[:, index], right[:, -1])


def saving(
    urgency: NDArray[np.float64], device: NDArray[np.bool_], cloud: NDArray[np.bool_]
) -> float:
    """One over the smallest share at which a router reaches the cloud's accuracy, with hindsight.

    Not a number where the device alone is no worse than the cloud: there is nothing to reach.
    """
    if device.mean() >= cloud.mean():
        return float("nan")
    found = accuracies(urgency, device, cloud, _FINE)
    enough = np.flatnonzero(found >= 100 * cloud.mean() - 1e-9)
    share = float(_FINE[enough[0]]) if len(enough) else 1.0
    return 1 / max(share, float(_FINE[1]))


def energy_saving(world: World, split: Split, index: int) -> float:
    """Energy against the best confidence rule's at its accuracy at 20 %, in %; below 0 is less.

    Compute and radio of a Pi 4B on Wi-Fi, as its profile models them. A confidence rule runs the
    student alone; ours runs multiplexer and accept head beside it.
    """
    right = world.test.right
    device, cloud = right[:, index], right[:, -1]
    best = max(
        float(accuracies(split.urgencies[name][index], device, cloud, np.array([_AT]))[0])
        for name in CONFIDENCE
    )
    ours = accuracies(split.urgencies[OURS][index], device, cloud, _FINE)
    enough = np.flatnonzero(ours >= best - 1e-9)
    share = float(_FINE[enough[0]]) if len(enough) else 1.0
    theirs = energy_mj(world, index, _AT)
    return 100 * (energy_mj(world, index, share, split=split) / theirs - 1)


def energy_mj(world: World, index: int, share: float, *, split: Split | None = None) -> float:
    """Mean energy of one answer, modelled, if a share of inputs is escalated.

    Args:
        world: the models.
        index: capacity, from 0.
        share: to the cloud.
        split: whose router runs beside the student; None for a rule that costs nothing.
    """
    board, link = load_board(_BOARD), load_link(_LINK)
    runs = [world.macs[index], *(router_macs(world, split) if split else ())]
    compute = sum(board.compute_mj(board.compute_ms(macs)) for macs in runs)
    radio = link.transfer_mj(offload_bytes(world.task.signature.shape), link.mbit_s)
    return compute + share * radio


def router_macs(world: World, split: Split) -> tuple[int, int]:
    """Multiply-accumulates of one run of the multiplexer, and of the accept head."""
    shape, classes = list(world.task.signature.shape), len(world.task.signature.classes)
    multiplexer = network_macs(split.router.multiplexer, shape, [len(BUDGET_FIELDS)])
    options = world.test.capacities + 1
    head = network_macs(split.router.accept_head, [classes], [options], [options - 1])
    return multiplexer, head


def calibration_error(believed: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten equally filled bins, points (Naeini et al. 2015)."""
    order = np.argsort(believed, kind="stable")
    bins = np.array_split(order, 10)
    gaps = [abs(believed[one].mean() - right[one].mean()) * len(one) for one in bins if len(one)]
    return float(100 * sum(gaps) / len(believed))
