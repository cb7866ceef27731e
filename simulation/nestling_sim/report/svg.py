"""Renders pictures as SVG or PNG files, or as SVG elements in the colors of the page."""

import io
import re
from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nestling_cloud.palette import COLOURS

# Without a date and with a fixed salt, the same run gives the same bytes.
_NO_METADATA: Mapping[str, None] = {"Date": None, "Creator": None, "Format": None, "Type": None}


def as_svg(figure: Figure) -> str:
    """Render a picture as an SVG file in light colors.

    Text in the picture remains text, and is not converted to outlines.
    """
    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nestling"}):
        figure.savefig(text, format="svg", metadata=dict(_NO_METADATA))
    return text.getvalue()


def as_inline_svg(figure: Figure, name: str, label: str) -> str:
    """Render a picture as an SVG element for a page whose style sheet defines the palette.

    Colors become references to the style sheet's variables, so that they are light or dark, like
    the rest of the page.

    Args:
        figure: the picture.
        name: a prefix for the ids in the picture. It must differ between the pictures on a page.
        label: the description for screen readers, already escaped for HTML.
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
    """Render a picture as a PNG file in light colors.

    Args:
        figure: the picture.
        dots_per_inch: the resolution of the file.
    """
    data = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(data, format="png", dpi=dots_per_inch)
    return data.getvalue()
