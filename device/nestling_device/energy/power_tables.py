"""Reads the power tables, which contain the published figures from which costs are modelled.

There is one table of boards and one of radio links.
"""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from nestling_device.errors import DeviceError


class ProfileError(DeviceError):
    """Raised when a board or link is not in the power tables."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """The power and speed of a board.

    Attributes:
        name: the board's name in the power table.
        idle_w: the power while the board is idle, in watts.
        busy_w: the power while the board computes, in watts.
        gmacs_per_s: the speed of small int8 layers on one core, in 10^9 multiply-accumulates per
            second.
        run_overhead_ms: the fixed overhead of each run of a model, in ms.
    """

    name: str
    idle_w: float
    busy_w: float
    gmacs_per_s: float
    run_overhead_ms: float

    def compute_ms(self, macs: int) -> float:
        """Return the time of one run with `macs` multiply-accumulates, in ms."""
        return self.run_overhead_ms + macs / (self.gmacs_per_s * 1e6)

    def compute_mj(self, busy_ms: float) -> float:
        """Return the energy that computing for `busy_ms` adds to the idle energy, in mJ.

        A run uses only one core, but is assumed to add the difference between the busy and the idle
        power of the whole board. This overstates the energy of a run, but does not affect that of a
        transfer.
        """
        return busy_ms * (self.busy_w - self.idle_w)


@dataclass(frozen=True, kw_only=True)
class Link:
    """The power and speed of a radio link.

    Attributes:
        name: the link's name in the power table.
        base_w: the power while sending or receiving, in watts.
        w_per_mbit_s: the additional power per Mbit/s of throughput, in watts.
        tail_mj: the energy spent after a transfer, before the radio sleeps, in mJ.
        mbit_s: the typical throughput, in Mbit/s.
        rtt_ms: the typical round-trip time, in ms.
    """

    name: str
    base_w: float
    w_per_mbit_s: float
    tail_mj: float
    mbit_s: float
    rtt_ms: float


def load_board(name: str) -> Board:
    """Return the power and speed of the board with this name.

    Raises:
        ProfileError: no board has this name; the message lists all names.
    """
    return Board(name=name, **_entry("boards", name))


def load_link(name: str) -> Link:
    """Return the power and speed of the link with this name.

    Raises:
        ProfileError: no link has this name; the message lists all names.
    """
    return Link(name=name, **_entry("links", name))


def profile_names(table: str) -> list[str]:
    """Return all names in the power table "boards" or "links"."""
    return list(_read()[table])


def _entry(table: str, name: str) -> dict[str, float]:
    entries = _read()[table]
    if name not in entries:
        raise ProfileError(
            f"{name!r} is not one of the {table}", advice=f"choose from {', '.join(entries)}"
        )
    entry: dict[str, float] = entries[name]
    return entry


def _read() -> dict[str, Any]:
    return tomllib.loads((files("nestling_device.energy") / "profiles.toml").read_text("utf-8"))
