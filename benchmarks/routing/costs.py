"""What routing itself takes, and what it saves: time, bytes, energy, the cloud's work."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.rounding import as_bytes
from benchmarks.routing.curves import OURS, Split, accuracies
from benchmarks.routing.seed_models import SeedModels
from nestling_cloud.latency.measure import medians_us
from nestling_cloud.learning.onnx.attach_multiplexer import attach_multiplexer
from nestling_cloud.models.multiplexer import Multiplexer
from nestling_core.execution.session import open_session
from nestling_core.nest.layout import assemble
from nestling_core.routing.admission import offload_bytes
from nestling_core.student.plan import layout
from nestling_device.energy.power_tables import load_board, load_link

_SECONDS = 2.0
_BOARD, _LINK = "pi-4b", "wifi"
CONFIDENCE = ("max-softmax", "margin", "entropy", "scaled softmax", "Sedna cross entropy")
_FINE = np.arange(0, 1.0001, 0.0025)
# The share at which energies are compared.
_AT = 0.2


@dataclass(frozen=True, kw_only=True)
class RouterCost:
    """What the multiplexer adds to the smallest capacity.

    Attributes:
        microseconds: one run of the smallest capacity with it, and without.
        size: bytes of template and weights with it, and without.
    """

    microseconds: tuple[float, float]
    size: tuple[int, int]

    @property
    def latency(self) -> float:
        """Its own latency, in parts of the smallest capacity's."""
        both, alone = self.microseconds
        return both / alone - 1

    @property
    def bytes(self) -> float:
        """Its own bytes, likewise."""
        both, alone = self.size
        return both / alone - 1


def router_cost(world: SeedModels, multiplexer: Multiplexer) -> RouterCost:
    """Time the smallest capacity with the multiplexer's layers and without, in turns."""
    template, ring = as_bytes(world.rounded["template"])[0], as_bytes(world.rounded["ring"])[0]
    both = attach_multiplexer(template, multiplexer, 1)
    tensors = assemble(layout(world.task.signature, world.task.student), [ring])
    sessions = [open_session(one, tensors) for one in (both, template)]
    times = medians_us(sessions, seconds=_SECONDS)
    return RouterCost(
        microseconds=(times[0], times[1]), size=(len(both) + len(ring), len(template) + len(ring))
    )


def cloud_saving(world: SeedModels, split: Split, index: int) -> float:
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


def energy_saving(
    world: SeedModels,
    split: Split,
    index: int,
    *,
    urgency: NDArray[np.float64],
    device: NDArray[np.bool_],
    compute_mj: float,
) -> float:
    """Energy against the best confidence rule's at its accuracy at 20 %, in %; below 0 is less.

    Compute and radio of a Pi 4B on Wi-Fi, as its profile models them.

    Args:
        world: the models.
        split: the rules' urgencies.
        index: capacity that the rules run at once, from 0.
        urgency: how much each input wants to go to the cloud by our router, (N,).
        device: whether our device is right, (N,).
        compute_mj: that our device takes for the mean input, without the radio.
    """
    right = world.test.right
    cloud = right[:, -1]
    best = max(
        float(accuracies(split.urgencies[name][index], right[:, index], cloud, np.array([_AT]))[0])
        for name in CONFIDENCE
    )
    ours = accuracies(urgency, device, cloud, _FINE)
    enough = np.flatnonzero(ours >= best - 1e-9)
    share = float(_FINE[enough[0]]) if len(enough) else 1.0
    theirs = run_mj(world, index + 1) + _AT * radio_mj(world)
    return 100 * ((compute_mj + share * radio_mj(world)) / theirs - 1)


def run_mj(world: SeedModels, capacity: int, multiplexer: Multiplexer | None = None) -> float:
    """Energy of one run of a capacity, modelled, from 1; the multiplexer's few operations with it.

    Args:
        world: the models.
        capacity: 1 to K.
        multiplexer: behind it.
    """
    extra = 0
    if multiplexer is not None:
        layers = (multiplexer.seen, multiplexer.right, multiplexer.classes)
        extra = sum(layer.weight.numel() for layer in layers if layer is not None)
    board = load_board(_BOARD)
    return board.compute_mj(board.compute_ms(world.macs[capacity - 1] + extra))


def radio_mj(world: SeedModels) -> float:
    """Energy of the radio for one offload, modelled."""
    link = load_link(_LINK)
    return link.transfer_mj(offload_bytes(world.task.signature.shape), link.mbit_s)


def calibration_error(believed: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten equally filled bins, points (Naeini et al. 2015)."""
    order = np.argsort(believed, kind="stable")
    bins = np.array_split(order, 10)
    gaps = [abs(believed[one].mean() - right[one].mean()) * len(one) for one in bins if len(one)]
    return float(100 * sum(gaps) / len(believed))
