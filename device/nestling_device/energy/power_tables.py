"""Power tables of boards and links: published figures from which costs are modelled."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from nestling_device.errors import DeviceError


class ProfileError(DeviceError):
    """A board or link is not in the power tables."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """Power and speed of a board.

    Attributes:
        name: name in the power table.
        idle_w: power while the board is idle, watts.
        busy_w: power while the board computes, watts.
        gmacs_per_s: speed of small int8 layers on one core, 10^9 multiply-accumulates per second.
        run_overhead_ms: fixed time of each run of a model.
    """

    name: str
    idle_w: float
    busy_w: float
    gmacs_per_s: float
    run_overhead_ms: float

    def compute_ms(self, macs: int) -> float:
        """Return the time of one run with so many multiply-accumulates, in ms."""
        return self.run_overhead_ms + macs / (self.gmacs_per_s * 1e6)

    def compute_mj(self, busy_ms: float) -> float:
        """Return the energy above idle of computing for so many milliseconds, in mJ.

        One busy core is charged the difference between busy and idle of the whole board. This
        overstates the device's own energy, never that of an offload.
        """
        return busy_ms * (self.busy_w - self.idle_w)


@dataclass(frozen=True, kw_only=True)
class Link:
    """Power and speed of a radio link.

    Attributes:
        name: name in the power table.
        base_w: power while sending or receiving, watts.
        w_per_mbit_s: additional power per Mbit/s of throughput, watts.
        tail_mj: energy spent after a transfer before the radio sleeps.
        mbit_s: typical throughput.
        rtt_ms: typical round-trip time.
    """

    name: str
    base_w: float
    w_per_mbit_s: float
    tail_mj: float
    mbit_s: float
    rtt_ms: float


def load_board(name: str) -> Board:
    """Look up a board by its name.

    Raises:
        ProfileError: no board has this name; the message lists all names.
    """
    return Board(name=name, **_entry("boards", name))


def load_link(name: str) -> Link:
    """Look up a link by its name.

    Raises:
        ProfileError: no link has this name; the message lists all names.
    """
    return Link(name=name, **_entry("links", name))


def profile_names(table: str) -> list[str]:
    """List the names in the table "boards" or "links"."""
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
