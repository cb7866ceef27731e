"""Profiles of boards and links: published powers, from which costs are modelled."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from nestling_device.errors import DeviceError


class ProfileError(DeviceError):
    """A board or link that the profile table does not have."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """What a board's processor draws and does.

    Attributes:
        name: in the profile table.
        idle_w: power while it waits, watts.
        busy_w: power while it computes, watts.
        gmacs_per_s: int8 multiply-accumulates that small layers reach on one core, 10^9 a second.
        run_overhead_ms: fixed cost of running one model once.
    """

    name: str
    idle_w: float
    busy_w: float
    gmacs_per_s: float
    run_overhead_ms: float

    def compute_ms(self, macs: int) -> float:
        """Time to run one model of so many multiply-accumulates."""
        return self.run_overhead_ms + macs / (self.gmacs_per_s * 1e6)

    def compute_mj(self, busy_ms: float) -> float:
        """Energy of computing for so long, above what the board draws anyway.

        One busy core is billed with the whole board's difference between busy and idle: that
        overstates what the device spends, never the cloud.
        """
        return busy_ms * (self.busy_w - self.idle_w)


@dataclass(frozen=True, kw_only=True)
class Link:
    """What a radio draws.

    Attributes:
        name: in the profile table.
        base_w: power while sending or receiving, watts.
        w_per_mbit_s: what each megabit per second adds.
        tail_mj: spent after a transfer before the radio sleeps.
        mbit_s: usual throughput.
        rtt_ms: usual round trip.
    """

    name: str
    base_w: float
    w_per_mbit_s: float
    tail_mj: float
    mbit_s: float
    rtt_ms: float

    def transfer_mj(self, size_bytes: int, mbit_s: float) -> float:
        """Energy of moving so many bytes at a throughput, 0 for none.

        Radio energy is power over air time plus a tail (Huang et al., MobiSys'12), so a slow link
        costs more for each byte.
        """
        if size_bytes == 0 or not mbit_s > 0:
            return 0.0
        air_ms = size_bytes * 8 / (mbit_s * 1e3)
        return air_ms * (self.base_w + self.w_per_mbit_s * mbit_s) + self.tail_mj


def load_board(name: str) -> Board:
    """Find a board by its name.

    Raises:
        ProfileError: there is none of that name; the text lists those there are.
    """
    return Board(name=name, **_entry("boards", name))


def load_link(name: str) -> Link:
    """Find a link by its name.

    Raises:
        ProfileError: there is none of that name; the text lists those there are.
    """
    return Link(name=name, **_entry("links", name))


def profile_names(table: str) -> list[str]:
    """Names in a table, "boards" or "links"."""
    return list(_read()[table])


def _entry(table: str, name: str) -> dict[str, float]:
    found = _read()[table]
    if name not in found:
        raise ProfileError(f"no {name!r} among the {table}: there are {', '.join(found)}")
    entry: dict[str, float] = found[name]
    return entry


def _read() -> dict[str, Any]:
    return tomllib.loads((files("nestling_device.energy") / "profiles.toml").read_text("utf-8"))
