"""Models the energy that the radio uses for an offload.

The module performs no I/O.
"""

from nestling_device.energy.power_tables import Link


def offload_mj(link: Link, size_bytes: int, mbit_s: float) -> float:
    """Return the energy of an offload in mJ.

    The energy is the radio's power multiplied by the transfer time, plus the energy that the radio
    uses before it sleeps again (Huang et al., MobiSys'12). It is 0 if there are no bytes or no
    link.

    Args:
        link: the power figures of the radio link.
        size_bytes: the number of bytes sent and received.
        mbit_s: the throughput of the link in Mbit/s, or 0 without a link.
    """
    if size_bytes == 0 or not mbit_s > 0:
        return 0.0
    air_ms = size_bytes * 8 / (mbit_s * 1e3)
    return air_ms * (link.base_w + link.w_per_mbit_s * mbit_s) + link.tail_mj
