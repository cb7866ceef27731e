"""Measures how much time and how many bytes routing costs, and models the energy of answers."""

from dataclasses import dataclass

from benchmarks.learning.rounding import as_bytes
from benchmarks.routing.seed_models import SeedModels
from nestling_cloud.latency.measure import medians_us
from nestling_cloud.learning.onnx.attach_multiplexer import attach_multiplexer
from nestling_cloud.learning.routing import Estimator
from nestling_cloud.models.multiplexer import Multiplexer
from nestling_core.execution.session import open_session
from nestling_core.nest.layout import assemble
from nestling_core.routing.admission import offload_bytes
from nestling_core.student.plan import layout
from nestling_core.wire.choice import plain_form
from nestling_device.energy.offload_energy import offload_mj
from nestling_device.energy.power_tables import load_board, load_link

_SECONDS = 2.0
_BOARD, _LINK = "pi-4b", "wifi"


@dataclass(frozen=True, kw_only=True)
class RouterCost:
    """The cost of the smallest capacity, with and without the multiplexer's layers.

    Attributes:
        microseconds: the median latencies of one run, as the pair (with the multiplexer, without).
        size: the total sizes of template (graph) and weights in bytes, as the pair (with the
            multiplexer, without).
    """

    microseconds: tuple[float, float]
    size: tuple[int, int]

    @property
    def latency(self) -> float:
        """The latency that the multiplexer adds, as a fraction of the smallest capacity's."""
        both, alone = self.microseconds
        return both / alone - 1

    @property
    def bytes(self) -> float:
        """The bytes that the multiplexer adds, as a fraction of the smallest capacity's."""
        both, alone = self.size
        return both / alone - 1


def router_cost(models: SeedModels, multiplexer: Estimator) -> RouterCost:
    """Measure the cost of the smallest capacity, with and without the multiplexer's layers.

    The two networks are timed alternately.
    """
    template, ring = as_bytes(models.rounded["template"])[0], as_bytes(models.rounded["ring"])[0]
    both = attach_multiplexer(template, multiplexer, 1)
    tensors = assemble(layout(models.task.signature, models.task.student), [ring])
    sessions = [open_session(model, tensors) for model in (both, template)]
    times = medians_us(sessions, seconds=_SECONDS)
    return RouterCost(
        microseconds=(times[0], times[1]), size=(len(both) + len(ring), len(template) + len(ring))
    )


def run_mj(models: SeedModels, capacity: int, multiplexer: Estimator | None = None) -> float:
    """Return the modelled energy of one run of a capacity on a Raspberry Pi 4B, in millijoules.

    Args:
        models: the models of the task and seed.
        capacity: the capacity, 1 to K.
        multiplexer: the multiplexer whose operations are added, or None to leave them out.
    """
    extra = 0
    if isinstance(multiplexer, Multiplexer):  # a plain rule is a handful of operations
        layers = (multiplexer.seen, multiplexer.right, multiplexer.classes)
        extra = sum(layer.weight.numel() for layer in layers if layer is not None)
    board = load_board(_BOARD)
    return board.compute_mj(board.compute_ms(models.macs[capacity - 1] + extra))


def radio_mj(models: SeedModels) -> float:
    """Return the modelled energy of the radio for one offload over Wi-Fi, in millijoules."""
    link = load_link(_LINK)
    return offload_mj(link, offload_bytes(plain_form(models.task.signature.shape)), link.mbit_s)
