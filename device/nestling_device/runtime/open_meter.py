"""Opens the most accurate energy meter that the configuration and the measured costs allow."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from nestling_device.config.schema import Config
from nestling_device.energy.measured_costs import MeasuredCosts
from nestling_device.energy.meter import CalibratedMeter, ClockMeter, Meter, Powers
from nestling_device.energy.power_tables import load_board, load_link
from nestling_device.energy.sampler import Sampler
from nestling_device.errors import DeviceError
from nestling_device.runtime.open_instrument import open_instrument

_log = logging.getLogger(__name__)


@contextmanager
def open_meter(config: Config, costs: MeasuredCosts | None) -> Iterator[Meter]:
    """Open a meter and its instrument for the duration of the block.

    An instrument is used only after `nestling-device profile --write` has measured the idle power
    with it, because the idle energy is subtracted from the energy of a step. Until then, energy is
    modelled from the board's power table. If the instrument cannot be opened, energy is calculated
    from the measured powers instead. In both cases, a warning is logged. For `kind = "profile"`,
    energy is calculated from the measured powers if there are any, and modelled otherwise.

    Args:
        config: the configuration, which names the meter, the board and the link.
        costs: the costs measured on this machine, or None if there are none.

    Yields:
        The meter.
    """
    board, link = load_board(config.board.profile), load_link(config.board.link)
    kind = config.meter.kind
    powers = _powers(costs)
    with ExitStack() as stack:
        if powers is None or (kind != "profile" and costs is not None and costs.meter != kind):
            if kind != "profile":
                _log.warning(
                    "the %s meter is not used yet, and energy is modelled: run "
                    "nestling-device profile --write once",
                    kind,
                )
            yield ClockMeter(board, link)
            return
        sampler = None
        try:
            instrument = open_instrument(config.meter)
        except DeviceError as err:
            _log.warning("%s; energy is calibrated from profile.json meanwhile", err)
        else:
            if instrument is not None:
                sampler = stack.enter_context(Sampler(instrument))
        yield CalibratedMeter(board=board, link=link, powers=powers, sampler=sampler)


def _powers(costs: MeasuredCosts | None) -> Powers | None:
    if costs is None or costs.idle_w is None or costs.active_w is None:
        return None
    return Powers(idle_w=costs.idle_w, active_w=costs.active_w)
