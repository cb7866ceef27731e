"""Defines the colors of the report and the console for light and dark pages.

Blue stands for the device: the larger the capacity (a size of the student), the stronger the blue.
Orange stands for the cloud and offloads. The hues are from Okabe and Ito's palette, which
color-blind readers can distinguish. Charts vary markers and dashes as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    """The color of one role, such as the page's background or a capacity.

    Attributes:
        role: the name of the CSS custom property, without the two leading dashes.
        light: the hex color on a light page. No two roles have the same color, because in SVG
            pictures each color is replaced by its role's custom property.
        dark: the hex color on a dark page.
    """

    role: str
    light: str
    dark: str


SURFACE = Colour("surface", "#ffffff", "#171a1f")
INK = Colour("ink", "#1c2024", "#e8eaed")
MUTED = Colour("muted", "#5b6470", "#a3acb8")
GRID = Colour("grid", "#dfe3e8", "#343a43")
OUTAGE = Colour("outage", "#eceef1", "#2a2f37")
CLOUD_ORANGE = Colour("cloud", "#e08a00", "#f0a830")
FALLBACK = Colour("fallback", "#c43c00", "#ff7a45")
MULTIPLEXER = Colour("multiplexer", "#00785a", "#2cc79c")
RIVAL = Colour("rival", "#a8508a", "#dd92c4")
_CAPACITIES = (
    Colour("capacity-1", "#b5d5ec", "#2f5572"),
    Colour("capacity-2", "#7bb3da", "#3f7cab"),
    Colour("capacity-3", "#3a86bd", "#5ba5d8"),
    Colour("capacity-4", "#0f5488", "#9bd0f5"),
)
COMPUTE = _CAPACITIES[2]

COLOURS = (
    SURFACE,
    INK,
    MUTED,
    GRID,
    OUTAGE,
    CLOUD_ORANGE,
    FALLBACK,
    MULTIPLEXER,
    RIVAL,
    *_CAPACITIES,
)


def capacity_colours(count: int) -> Sequence[Colour]:
    """Return one color for each of the capacities 1 to `count`, the strongest last.

    There are four colors, so with more than four capacities some neighbors share a color.
    """
    last = len(_CAPACITIES) - 1
    return [_CAPACITIES[round(k * last / max(count - 1, 1))] for k in range(count)]


def css_variables(*, dark: bool) -> str:
    """Return CSS custom properties with the colors of a light or a dark page."""
    return " ".join(f"--{one.role}: {one.dark if dark else one.light};" for one in COLOURS)
