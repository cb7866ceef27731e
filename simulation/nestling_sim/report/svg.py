"""Pictures as files: SVG that takes its colours from the page around it, SVG alone, and PNG."""

import io
import re
from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nestling_cloud.palette import COLOURS

# No date and a fixed salt: the same run gives the same bytes.
_NO_METADATA: Mapping[str, None] = {"Date": None, "Creator": None, "Format": None, "Type": None}


def as_svg(figure: Figure) -> str:
    """Draw a picture as a file of its own, in light colours, its text as text."""
    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nestling"}):
        figure.savefig(text, format="svg", metadata=dict(_NO_METADATA))
    return text.getvalue()


def as_inline_svg(figure: Figure, name: str, label: str) -> str:
    """Draw a picture for the inside of a page whose style sheet has the palette.

    Args:
        figure: what to draw.
        name: put before every id, so that pictures share a page.
        label: what a screen reader says.
    """
    svg = as_svg(figure)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    for colour in COLOURS:
        svg = svg.replace(colour.light, f"var(--{colour.role})")
    size = re.search(r'viewBox="[^"]*"', svg)
    view = size.group() if size else ""
    head = (
        f'<svg {view} role="img" aria-label="{label}" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return re.sub(r"<svg[^>]*>", head, svg, count=1)


def as_png(figure: Figure, dots_per_inch: int = 160) -> bytes:
    """Draw a picture as pixels, in light colours."""
    data = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(data, format="png", dpi=dots_per_inch)
    return data.getvalue()
